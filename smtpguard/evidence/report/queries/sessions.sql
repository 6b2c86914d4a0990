-- One row a session in SMTP: those that ended, and those of which only findings are there yet. A view: a copy of a
-- million rows would cost more than to look at them once for each question.
create temporary view sessions as
with whole as (
    select session, ip, listener, coalesce(helo, '') as helo, coalesce(visible, 'full') as visible, wall
    from events
    where command is null
    union all
    select session, ip, listener, helo, 'not-ended' as visible, wall
    from begun
)
select
    session, ip, listener, helo, visible, wall,
    case when session in (select session from findings) then 1 else 0 end as affected
from whole
