delete from events where ip not in (select ip from clients)
