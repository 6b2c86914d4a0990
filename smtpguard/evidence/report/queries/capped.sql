-- Of what is only noted a guard keeps 20 events of a rule in a session (`smtp.ledger.NOTES_KEPT`); how many there were
-- in truth, consequences left out, the session's end tells. `more` is what the events do not show.
create temporary table capped as
select
    e.session as session,
    e.rule as rule,
    max(n.rules[e.rule]) - sum(case when coalesce(e.consequence, false) then 0 else 1 end) as more
from events e
join ends n on n.session = e.session
where e.rule in (select rule from wanted)
group by e.session, e.rule
having count(*) >= 20
