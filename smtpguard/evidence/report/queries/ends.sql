-- The ends of the sessions in which something happened, which are few.
create temporary table ends as
select session, min(helo) as helo, any_value(rules) as rules
from events
where command is null and session in (select session from events where command is not null)
group by session
