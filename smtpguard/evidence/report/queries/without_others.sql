delete from events where session in (select session from others)
