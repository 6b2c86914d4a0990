-- Offences by something that a finding has; the share is of all sessions, and not told here.
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
)
select
    name, findings, affected, hosts, first_seen, last_seen, late, 0 as sessions,
    count(*) over () as groups
from counted
order by affected desc, findings desc, name
