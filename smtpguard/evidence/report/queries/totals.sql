select visible, count(*) as sessions, sum(affected) as affected
from sessions
group by visible
