-- What each host of `listed` did; `session` is the latest one of which the end is there, else the latest.
select
    ip, rule, cause,
    sum(weight) as findings,
    count(distinct session) as affected,
    min(born) as first_seen,
    max(born) as last_seen,
    coalesce(max(case when ended = 1 then session end), max(session)) as session
from findings
where ip in (select ip from listed)
group by ip, rule, cause
order by ip, affected desc, findings desc, rule, cause
