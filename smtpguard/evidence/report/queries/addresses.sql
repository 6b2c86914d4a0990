select distinct ip from events where ip is not null
