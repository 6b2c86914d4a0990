-- Sessions with a finding and no end: not over yet, or the guard was stopped before.
create temporary table begun as
select
    session,
    min(ip) as ip,
    min(listener) as listener,
    coalesce(max(helo), '') as helo,
    max(wall) as wall
from events
where command is not null and session not in (select session from ends)
group by session
