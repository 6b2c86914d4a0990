-- Offenders by something that a session has one of; the share is of its own sessions.
with counted as (
    select
        {key} as name,
        sum(f.weight) as findings,
        count(distinct f.session) as affected,
        count(distinct f.ip) as hosts,
        min(f.born) as first_seen,
        max(f.born) as last_seen,
        sum(f.late * f.weight) as late
    from findings f
    group by {key}
),
every as (
    select {key} as name, count(*) as sessions
    from sessions f
    group by {key}
)
select
    counted.name, findings, affected, hosts, first_seen, last_seen, late, sessions,
    count(*) over () as groups
from counted
join every on every.name = counted.name
order by affected desc, findings desc, counted.name
