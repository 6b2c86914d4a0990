select distinct rule from events where rule is not null
