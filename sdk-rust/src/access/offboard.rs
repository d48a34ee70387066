//! Taking somebody out of everything that this account manages. Does all that can be done and says what could not; doing it
//! again finishes it.

use std::sync::Arc;

use veilcore::id::{AccountId, ProjectId};

use super::outcome::{ShareOutcome, is_hopeless};
use super::renew::Due;
use super::{Home, Unfinished};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::projects::Project;
use crate::storage::Progress;
use crate::teams::{Team, TeamRole};

/// What an offboarding did.
#[derive(Debug)]
#[non_exhaustive]
pub struct OffboardReport {
    /// Who was to be taken out.
    pub account_id: AccountId,
    /// The teams that they were in and this account manages.
    pub teams: Vec<LeftTeam>,
    /// The projects that they were in and this account may share, and those whose keys were not finished.
    pub projects: Vec<LeftProject>,
    /// Projects that this machine knows and the server does not show: deleted elsewhere, or hidden.
    pub unseen: Vec<ProjectId>,
    /// Teams and projects that could not be listed.
    pub faults: Vec<Error>,
}

/// A team that somebody was in.
#[derive(Debug)]
#[non_exhaustive]
pub struct LeftTeam {
    /// The team.
    pub team: Team,
    /// Why they still are in it; None when they are not.
    pub error: Option<Error>,
}

/// A project that somebody was in.
#[derive(Debug)]
#[non_exhaustive]
pub struct LeftProject {
    /// The project.
    pub project: Project,
    /// What was done.
    pub step: LeftStep,
    /// What they may still do in it by its newest list. The owner of a project cannot be taken out of it.
    pub still_may: Vec<&'static str>,
}

/// How far the removal from a project came.
#[derive(Debug)]
#[non_exhaustive]
pub enum LeftStep {
    /// They are out by the list; what of the keys is left to do is in the outcome.
    Out(Box<ShareOutcome>),
    /// The list could not be put in force.
    Failed(Error),
    /// Not tried: the server went away, or the session ended, before.
    NotTried,
}

impl OffboardReport {
    /// Whether nothing is left to do. Somebody who owns a project still is in it.
    pub fn is_complete(&self) -> bool {
        let out = |left: &LeftProject| matches!(&left.step, LeftStep::Out(done) if done.is_complete());
        self.faults.is_empty()
            && self.teams.iter().all(|left| left.error.is_none())
            && self.projects.iter().all(out)
    }

    /// Whether the account can still get at something that was looked at.
    pub fn is_still_in(&self) -> bool {
        self.projects.iter().any(|left| !left.still_may.is_empty())
    }
}

impl Client {
    /// Takes an account out of every team that this one owns or is an admin of, then out of the access list of every
    /// project that this one may share: new list, new keys, present content sealed anew. Lets nobody in. One team or
    /// project that fails stops no other.
    ///
    /// # Errors
    /// Only when nothing could be begun: [`Error::NotLoggedIn`], [`Error::Network`]. All else is in the report.
    pub async fn offboard(
        &self,
        account: AccountId,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<OffboardReport> {
        self.fresh_session().await?;
        let mut report = OffboardReport {
            account_id: account,
            teams: Vec::new(),
            projects: Vec::new(),
            unseen: Vec::new(),
            faults: Vec::new(),
        };
        let mut is_cut_off = !self.leave_teams(&mut report).await;
        let shared = |project: &Project| project.permissions.iter().any(|held| held == "project:share");
        let mut seen = Vec::new();
        for is_shared in [false, true] {
            match self.projects().pages_each("", is_shared).await {
                Err(e) => report.faults.push(e),
                Ok(listed) => {
                    for project in listed {
                        match project {
                            Ok(project) => seen.push((!is_shared || shared(&project), project)),
                            Err(e) => report.faults.push(e),
                        }
                    }
                }
            }
        }
        let pins = self.pins().await?;
        let listed = |project: &ProjectId| seen.iter().any(|(_, seen)| seen.id == *project);
        report.unseen = pins.access.projects().filter(|project| !listed(project)).collect();
        for (_, project) in seen.into_iter().filter(|(manages, _)| *manages) {
            if is_cut_off {
                let still_may = Vec::new();
                report.projects.push(LeftProject { project, step: LeftStep::NotTried, still_may });
                continue;
            }
            let Some(step) = self.leave_project(&project, account, progress.clone()).await else { continue };
            is_cut_off = matches!(&step, LeftStep::Failed(e) if is_hopeless(e));
            let access = self.projects().access(&project).await;
            let still_may = access.map(|access| access.actions_of(account)).unwrap_or_default();
            report.projects.push(LeftProject { project, step, still_may });
        }
        Ok(report)
    }

    /// False when the server went away.
    async fn leave_teams(&self, report: &mut OffboardReport) -> bool {
        let account = report.account_id;
        let teams = match self.teams().list().await {
            Ok(teams) => teams,
            Err(e) => {
                let is_hopeless = is_hopeless(&e);
                report.faults.push(e);
                return !is_hopeless;
            }
        };
        for team in teams {
            if team.role < TeamRole::Admin || team.owner_id == account {
                continue;
            }
            let error = match self.leave_team(&team, account).await {
                Ok(false) => continue,
                Ok(true) => None,
                Err(e) => Some(e),
            };
            let is_cut_off = error.as_ref().is_some_and(is_hopeless);
            report.teams.push(LeftTeam { team, error });
            if is_cut_off {
                return false;
            }
        }
        true
    }

    /// Whether they were in it.
    async fn leave_team(&self, team: &Team, account: AccountId) -> Result<bool> {
        let members = self.teams().members(team.id).await?;
        if !members.iter().any(|member| member.account_id == account) {
            return Ok(false);
        }
        match self.teams().remove(team.id, account).await {
            // Somebody else was faster.
            Err(e) if e.is("MEMBER_UNKNOWN") => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// None when they are not in it and nothing is left to do.
    async fn leave_project(
        &self,
        project: &Project,
        account: AccountId,
        progress: Option<Arc<dyn Progress>>,
    ) -> Option<LeftStep> {
        match self.is_to_do(project, account).await {
            Ok(false) => return None,
            Ok(true) => {}
            Err(e) if is_hopeless(&e) => return Some(LeftStep::Failed(e)),
            // What cannot be judged is tried; the step says what is the matter.
            Err(_) => {}
        }
        let mut outcome = match self.projects().shut_out(project, &[account], progress).await {
            Ok(outcome) => outcome,
            Err(e) => return Some(LeftStep::Failed(e)),
        };
        if outcome.exposure.is_none() {
            // What an interrupted run has begun.
            match self.exposure_of(Home::of(project), &[account], &mut outcome.unfinished).await {
                Ok(report) => outcome.exposure = Some(report),
                Err(e) => outcome.unfinished.push(Unfinished::whole("exposure", e)),
            }
        }
        Some(LeftStep::Out(Box::new(outcome)))
    }

    /// Whether they are in a project, or were taken out of it and its keys were not finished.
    async fn is_to_do(&self, project: &Project, account: AccountId) -> Result<bool> {
        if !self.projects().access(project).await?.actions_of(account).is_empty() {
            return Ok(true);
        }
        for environment in self.environments(project).list().await? {
            if self.due(Home::of(project), &environment).await? != Due::Nothing {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
