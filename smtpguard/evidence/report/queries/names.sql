-- What the hosts of `listed` call themselves, and where they arrive, in sessions with a finding.
select ip, helo, listener, count(distinct session) as sessions
from findings
where ip in (select ip from listed)
group by ip, helo, listener
order by ip, sessions desc, helo, listener
