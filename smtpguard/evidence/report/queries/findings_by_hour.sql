select date_trunc('hour', wall) as hour, rule, sum(weight) as findings
from findings
group by date_trunc('hour', wall), rule
order by hour, rule
