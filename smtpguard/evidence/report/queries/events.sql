-- The one reading of the segments: all that any figure needs, and no more, for each column costs a tenth of the whole.
-- The only text that is DuckDB's alone; on another engine a table `events` of these columns stands in its place.
create temporary table events as
select
    "@timestamp" as born,
    "@timestamp" + to_seconds({shift}) as wall,
    case when "@timestamp" >= $middle then 1 else 0 end as late,
    rule.id as rule,
    source.ip as ip,
    observer.name as listener,
    smtp.session.id as session,
    smtp.helo as helo,
    smtp.visible as visible,
    smtp.cause as cause,
    -- Only the end of a session has none.
    smtp.command as command,
    smtp.command_number as place,
    smtp.consequence as consequence,
    -- Only the end of a session that broke rules has some.
    smtp.rules as rules
from read_json(
    $files,
    format = 'newline_delimited',
    records = true,
    ignore_errors = true,
    columns = {
        '@timestamp': 'TIMESTAMP',
        rule: 'STRUCT(id VARCHAR)',
        source: 'STRUCT(ip VARCHAR)',
        observer: 'STRUCT(name VARCHAR)',
        smtp: 'STRUCT(
            session STRUCT(id VARCHAR),
            helo VARCHAR,
            visible VARCHAR,
            cause VARCHAR,
            command VARCHAR,
            command_number BIGINT,
            consequence BOOLEAN,
            rules MAP(VARCHAR, BIGINT)
        )'
    }
)
-- What no event could be made of has no time; it is kept, to be counted.
where "@timestamp" is null or ("@timestamp" >= $since and "@timestamp" < $until)
