-- What counts against clients; `wanted` holds the rules. The helo is the session's: what it said last. `weight` is how
-- many findings a row stands for: the last event of a rule in a session stands for those that were not kept, too.
create temporary table findings as
with blamed as (
    select
        session, ip, listener, rule, coalesce(cause, 'unknown') as cause, command, born, wall, late,
        row_number() over (partition by session, rule order by born desc, place desc) as back
    from events
    where command is not null
      and rule in (select rule from wanted)
      and coalesce(consequence, false) = false
)
select
    e.session as session,
    e.ip as ip,
    e.listener as listener,
    coalesce(n.helo, b.helo, '') as helo,
    e.rule as rule,
    e.cause as cause,
    e.command as command,
    case when b.session is null then 1 else 0 end as ended,
    e.born as born,
    e.wall as wall,
    e.late as late,
    case when e.back = 1 and c.more > 0 then 1 + c.more else 1 end as weight
from blamed e
left join ends n on n.session = e.session
left join begun b on b.session = e.session
left join capped c on c.session = e.session and c.rule = e.rule
