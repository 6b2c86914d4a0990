-- Sessions that spoke another protocol: out of every ranking of clients.
create temporary table others as
select session, min(ip) as ip
from events
where visible = 'none' or rule in ('SG401', 'SG402', 'SG403')
group by session
