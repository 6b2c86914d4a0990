select
    (select coalesce(sum(weight), 0) from findings) as findings,
    (select count(distinct ip) from findings) as hosts_affected,
    (select count(distinct ip) from sessions) as hosts,
    (select count(*) from others) as others,
    (select count(distinct ip) from others) as other_hosts
