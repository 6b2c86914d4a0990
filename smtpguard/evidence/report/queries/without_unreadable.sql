delete from events where born is null or ip is null or session is null
