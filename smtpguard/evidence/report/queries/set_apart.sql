-- What no client is blamed for, by rule; a command that a setting declined has none.
select
    coalesce(rule, 'declined') as name,
    case when coalesce(consequence, false) then 1 else 0 end as consequence,
    count(*) as findings,
    count(distinct session) as sessions,
    count(distinct ip) as hosts
from events
where command is not null
group by coalesce(rule, 'declined'), case when coalesce(consequence, false) then 1 else 0 end
order by name, consequence
