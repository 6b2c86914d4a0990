-- As by_session; the networks of the addresses are in `clients`.
with counted as (
    select
        c.network as name,
        sum(f.weight) as findings,
        count(distinct f.session) as affected,
        count(distinct f.ip) as hosts,
        min(f.born) as first_seen,
        max(f.born) as last_seen,
        sum(f.late * f.weight) as late
    from findings f
    join clients c on c.ip = f.ip
    group by c.network
),
by_host as (
    select ip, count(*) as sessions from sessions group by ip
),
every as (
    select c.network as name, sum(h.sessions) as sessions
    from by_host h
    join clients c on c.ip = h.ip
    group by c.network
)
select
    counted.name, findings, affected, hosts, first_seen, last_seen, late, sessions,
    count(*) over () as groups
from counted
join every on every.name = counted.name
order by affected desc, findings desc, counted.name
