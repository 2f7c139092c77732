//! A run is asked for: by a rule whose alert fired, or by a person.

use std::collections::BTreeMap;

use serde_json::Value;
use watchkeep_rules::model::{Runbook, RunbookUse};

use super::plan::{PlanError, hash_of, names_of, plan};
use super::sight::Sight;
use super::{Action, Plan, Run, RunFact, State, StepRun, StepState, proceed, steps, template};
use crate::ids::{IncidentId, RunId};
use crate::incidents::{self, IncidentFact, RuleView};
use crate::input::AlertChange;
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, FactBody, Reason, Refusal, Subject, TimerKind, changes};

/// Runs and changes kept in an incident's record.
const LINKS_MAX: usize = 50;

/// What a run is made from.
struct Ask<'a> {
    runbook: &'a Runbook,
    plan: Plan,
    asked_by: Actor,
    incident: Option<IncidentId>,
    alert: Option<BTreeMap<String, String>>,
    /// Why a person must approve, beyond the runbook's own guard.
    approval: Option<Reason>,
    reasons: Vec<Reason>,
}

/// What became of what a rule names for its alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// It runs, waits, or is not needed.
    Fine,
    /// It was not started, and a person is needed; people must still be told.
    HandedOver,
}

/// Starts what the rule names for its alert, or says on the incident why not.
pub(crate) fn start_for_alert(
    work: &mut Work<'_>,
    id: IncidentId,
    rule: &RuleView<'_>,
    alert: &AlertChange,
) -> Started {
    let Some(used) = rule.runbook else { return Started::Fine };
    try_for_alert(work, id, used, alert).unwrap_or_else(|why| {
        let fact = IncidentFact::RunNotStarted { runbook: used.name.clone(), why };
        work.tell(Subject::Incident(id), Actor::Rule(alert.rule.clone()), Vec::new(), FactBody::Incident(fact));
        Started::HandedOver
    })
}

fn try_for_alert(
    work: &mut Work<'_>,
    id: IncidentId,
    used: &RunbookUse,
    alert: &AlertChange,
) -> Result<Started, String> {
    let config = work.config;
    let runbook =
        config.rules.runbooks.get(&used.name).ok_or_else(|| format!("no runbook \"{}\" is loaded", used.name))?;
    let given = rendered(used, &alert.labels)?;
    let sight = Sight::of(work.desk, Some(id), Some(&alert.labels), None);
    let plan = plan(runbook, &given, &sight, None).map_err(|error| error.to_string())?;
    if going_already(work, id, &plan) {
        return Ok(Started::Fine);
    }
    if came_back(work, id, &plan, &alert.rule) {
        return Ok(Started::HandedOver);
    }
    let waiting = work.desk.index.runs_on(&plan.agent).filter(|run| is_waiting(work, *run)).count();
    let most = work.config.settings.runs_waiting_max;
    if waiting >= most {
        return Err(format!("{waiting} runs wait on host \"{}\" already, and {most} are the most", plan.agent));
    }
    let names = names_of(&plan.params, &sight);
    let approval = used.when.as_deref().and_then(|when| not_by_itself(when, &names));
    let reasons = vec![Reason::new("runbook", format!("rule {} names runbook {} for it", alert.rule, used.name))];
    let (asked_by, alert) = (Actor::Rule(alert.rule.clone()), Some(alert.labels.clone()));
    open(work, Ask { runbook, plan, asked_by, incident: Some(id), alert, approval, reasons });
    Ok(Started::Fine)
}

/// The rule's `with`, rendered with the alert's labels.
fn rendered(used: &RunbookUse, labels: &BTreeMap<String, String>) -> Result<BTreeMap<String, Value>, String> {
    let render = |(name, text): (&String, &String)| {
        let value = watchkeep_rules::template::render(text, labels, f64::NAN)
            .map_err(|error| format!("with: {name}: `{text}`: {}", error.message))?;
        Ok((name.clone(), Value::String(value)))
    };
    used.with.iter().map(render).collect()
}

/// Why the rule's `when` asks for a person: it is false, or cannot be told.
fn not_by_itself(when: &str, names: &template::Names) -> Option<Reason> {
    match template::holds(when, names) {
        Ok(true) => None,
        Ok(false) => Some(Reason::new("approval", format!("the rule's `when` is false: `{when}`"))),
        Err(fault) => {
            Some(Reason::new("approval", format!("the rule's `when` cannot be told, so a person must: {fault}")))
        }
    }
}

/// The same is being done for this incident already.
fn going_already(work: &Work<'_>, id: IncidentId, plan: &Plan) -> bool {
    let same = |run: &Run| run.incident == Some(id) && run.runbook == plan.runbook && run.plan.params == plan.params;
    let mut runs = work.desk.index.runs_on(&plan.agent).filter_map(|run| work.desk.runs.get(&run));
    runs.any(|run| !run.state.is_over() && same(run))
}

fn is_waiting(work: &Work<'_>, run: RunId) -> bool {
    let state = work.desk.runs.get(&run).map(|run| run.state);
    state.is_some_and(|state| !state.is_over() && !state.is_going())
}

/// The breaker: what this runbook mended lately is back, so it counts as failed, and a person takes over.
fn came_back(work: &mut Work<'_>, id: IncidentId, plan: &Plan, rule: &str) -> bool {
    let Some(key) = work.desk.incidents.get(&id).map(|incident| incident.key.clone()) else { return false };
    let (at, within) = (work.at, work.config.settings.came_back_within);
    let after = |run: &Run| run.finished_at.map(|finished| at.since(finished)).filter(|after| *after <= within);
    let mended = |run: &&Run| {
        run.state == State::Succeeded
            && run.key.as_ref() == Some(&key)
            && run.runbook == plan.runbook
            && run.plan.params == plan.params
    };
    let runs = work.desk.index.runs_on(&plan.agent).filter_map(|run| work.desk.runs.get(&run)).filter(mended);
    let last = runs.filter_map(|run| Some((run.id, after(run)?, run.change))).last();
    let Some((run, after, change)) = last else { return false };
    let sentence = format!(
        "{run} of {} succeeded {} ago and it came back; within {} that counts as failure, so a person takes over",
        plan.runbook,
        length(after),
        length(within)
    );
    let reason = Reason::new("breaker", sentence.clone());
    if let Some(run) = work.run_mut(run) {
        run.came_back = true;
    }
    let fact = RunFact::CameBack { incident: id, after_ms: after };
    steps::tell(work, run, Actor::Rule(rule.to_owned()), vec![reason.clone()], fact);
    changes::measure(work, change, false, sentence);
    incidents::hand_over(work, id, Actor::Controller, reason);
    true
}

/// Starts a run that a person asks for.
///
/// Errors: `unknown`, `missing`, `not_allowed_in_state`, `invalid`; then nothing was changed.
pub(crate) fn start_by_hand(
    work: &mut Work<'_>,
    who: &str,
    name: &str,
    incident: Option<IncidentId>,
    agent: Option<&str>,
    params: &BTreeMap<String, Value>,
) -> Result<(), Refusal> {
    let config = work.config;
    let runbook = config.rules.runbooks.get(name).ok_or_else(|| unknown_runbook(work, name))?;
    if incident.is_none() && agent.is_none() {
        return Err(Refusal::new("missing", format!("runbook {name}: name an incident or an agent to run it for")));
    }
    if let Some(id) = incident {
        let open = work.desk.incidents.get(&id).is_some_and(|incident| incident.state.is_open());
        if !open {
            return Err(Refusal::new(
                "not_allowed_in_state",
                format!("{id} is not open; name an agent instead, or reopen it"),
            ));
        }
    }
    let plan = work
        .desk
        .plan(config, name, incident, agent, params)
        .map_err(|error| Refusal::new("invalid", error.to_string()))?;
    let reasons = vec![Reason::new("runbook", format!("{who} asked for it"))];
    let asked_by = Actor::Person(who.to_owned());
    open(work, Ask { runbook, plan, asked_by, incident, alert: None, approval: None, reasons });
    Ok(())
}

fn unknown_runbook(work: &Work<'_>, name: &str) -> Refusal {
    let known: Vec<&str> = work.config.rules.runbooks.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none is loaded".to_owned() } else { format!("loaded are {}", known.join(", ")) };
    Refusal::new("unknown", format!("no runbook \"{name}\"; {known}"))
}

impl crate::Desk {
    /// The plan of a run, as it would be hashed and sent; nothing is changed. For `--dry-run`.
    ///
    /// Errors: an unknown runbook, and all faults of parameters, target and templates.
    pub fn plan(
        &self,
        config: &crate::Config,
        name: &str,
        incident: Option<IncidentId>,
        agent: Option<&str>,
        params: &BTreeMap<String, Value>,
    ) -> Result<Plan, PlanError> {
        let unknown =
            || PlanError { runbook: name.to_owned(), faults: vec!["no runbook of that name is loaded".to_owned()] };
        let runbook = config.rules.runbooks.get(name).ok_or_else(unknown)?;
        plan(runbook, params, &Sight::of(self, incident, None, agent), agent)
    }
}

/// Opens the run with its change, and lets it begin, wait, or ask for approval.
fn open(work: &mut Work<'_>, ask: Ask<'_>) {
    let id = RunId(work.next_number("run"));
    let approval = ask.approval.clone().or_else(|| guarded(work, &ask));
    let run = record_of(work, id, &ask);
    let change = changes::open(work, &run, &ask.runbook.change.kind);
    let (incident, plan_hash) = (run.incident, run.plan_hash.clone());
    let fact = RunFact::Planned {
        runbook: run.runbook.clone(),
        agent: run.agent.clone(),
        ci: run.ci,
        incident,
        change,
        plan_hash: plan_hash.clone(),
        plan: run.plan.clone(),
    };
    work.add_run(Run { change, ..run });
    if let Some(incident) = incident.and_then(|id| work.incident_mut(id)) {
        link(&mut incident.runs, id);
        link(&mut incident.changes, change);
    }
    steps::tell(work, id, ask.asked_by.clone(), ask.reasons.clone(), fact);
    match approval {
        Some(reason) => ask_approval(work, id, &ask, reason),
        None => {
            changes::step(work, change, changes::Action::Preapprove, Actor::Run(id));
            proceed(work, id);
        }
    }
}

fn link<T>(links: &mut Vec<T>, new: T) {
    if links.len() >= LINKS_MAX {
        links.remove(0);
    }
    links.push(new);
}

/// Why the runbook's own guard asks for a person.
fn guarded(work: &Work<'_>, ask: &Ask<'_>) -> Option<Reason> {
    let when = &ask.runbook.guard.approval.as_ref()?.when;
    let sight = Sight::of(work.desk, ask.incident, ask.alert.as_ref(), Some(&ask.plan.agent));
    match template::holds(when, &names_of(&ask.plan.params, &sight)) {
        Ok(false) => None,
        Ok(true) => Some(Reason::new("approval", format!("the runbook's guard asks for it: `{when}`"))),
        Err(fault) => {
            Some(Reason::new("approval", format!("the runbook's guard cannot be told, so a person must: {fault}")))
        }
    }
}

fn ask_approval(work: &mut Work<'_>, id: RunId, ask: &Ask<'_>, reason: Reason) {
    let approval = ask.runbook.guard.approval.as_ref();
    let owner = ask.runbook.owner.as_ref().map(|owner| format!("group({owner})"));
    let by = approval.map(|approval| approval.by.clone()).or(owner).unwrap_or_else(|| "anyone".to_owned());
    let within = approval.map_or(work.config.settings.approval_within, |approval| approval.within);
    let until = work.at.plus(within);
    let Some(run) = work.run_mut(id) else { return };
    let Ok(state) = super::flow::FLOW.step(run.state, Action::AskApproval) else { return };
    run.state = state;
    run.approval_by = Some(by.clone());
    let (change, plan_hash, incident) = (run.change, run.plan_hash.clone(), run.incident);
    work.set_timer(until, TimerKind::ApprovalExpired { run: id });
    changes::step(work, change, changes::Action::AskApproval, Actor::Run(id));
    let fact = RunFact::ApprovalWanted { plan_hash, by: by.clone(), until: Some(until) };
    steps::tell(work, id, Actor::Controller, vec![reason], fact);
    let group = by.strip_prefix("group(").and_then(|rest| rest.strip_suffix(')'));
    let Some(incident) = incident else { return };
    // The page of an incident that is just opening says that its run waits; its own group needs no second one.
    let own = work.desk.incidents.get(&incident).and_then(|incident| incident.group.clone());
    if matches!(ask.asked_by, Actor::Person(_)) || own.as_deref() != group {
        incidents::page(work, incident, "approval_wanted", group);
    }
}

fn record_of(work: &Work<'_>, id: RunId, ask: &Ask<'_>) -> Run {
    let incident = ask.incident.and_then(|id| work.desk.incidents.get(&id));
    let plan = ask.plan.clone();
    Run {
        id,
        runbook: plan.runbook.clone(),
        title: ask.runbook.title.clone(),
        state: State::Planned,
        asked_by: ask.asked_by.clone(),
        incident: ask.incident,
        key: incident.map(|incident| incident.key.clone()),
        alert: ask.alert.clone(),
        change: crate::ids::ChangeId(0),
        agent: plan.agent.clone(),
        ci: work.desk.cmdb.host_of(&plan.agent),
        plan_hash: hash_of(&plan),
        waiting: None,
        approval_by: None,
        approved_by: None,
        step: 0,
        journal: plan.steps.iter().map(|step| untouched(&step.name)).collect(),
        plan,
        verify_until: None,
        outcome: None,
        came_back: false,
        opened_at: work.at,
        started_at: None,
        finished_at: None,
        settled_at: None,
    }
}

fn untouched(name: &str) -> StepRun {
    StepRun {
        name: name.to_owned(),
        state: StepState::Pending,
        attempts: 0,
        failures: 0,
        resends: 0,
        commands: Vec::new(),
        sent_at: None,
        ended_at: None,
        outcome: None,
        exit: None,
        changed: false,
        stdout: String::new(),
        stderr: String::new(),
        reason: String::new(),
    }
}
