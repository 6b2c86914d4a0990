select date_trunc('hour', wall) as hour, count(*) as sessions, sum(affected) as affected
from sessions
group by date_trunc('hour', wall)
order by hour
