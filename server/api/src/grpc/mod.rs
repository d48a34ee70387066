//! The gRPC services: translate, call one verb, translate back. No rule lives here; the gate has judged the caller.

mod access;
mod api_keys;
mod audit;
mod auth;
mod environments;
mod projects;
mod server;
mod shares;
mod storage;
mod teams;
mod uploads;
mod users;

use std::sync::Arc;

use axum::Router;
use tonic::{Request, Status, service::Routes};
use veilcloud_domain::{auth::Caller, projects::ProjectAccess};
use veilcloud_proto::{
    audit as audit_pb, auth as auth_pb, common, projects as projects_pb, storage as storage_pb,
    teams as teams_pb,
};

use crate::{Services, Settings, page_token::List, status::Fault};

/// One value that implements every service.
#[derive(Clone)]
pub struct Api {
    services: Arc<Services>,
    settings: Arc<Settings>,
}

/// Every service of the contract behind one router.
pub fn routes(services: Arc<Services>, settings: Arc<Settings>) -> Router {
    let api = Arc::new(Api { services, settings });
    Routes::new(common::v1::server_service_server::ServerServiceServer::from_arc(api.clone()))
        .add_service(auth_pb::v1::auth_service_server::AuthServiceServer::from_arc(api.clone()))
        .add_service(auth_pb::v1::access_service_server::AccessServiceServer::from_arc(api.clone()))
        .add_service(auth_pb::v1::api_key_service_server::ApiKeyServiceServer::from_arc(api.clone()))
        .add_service(auth_pb::v1::user_service_server::UserServiceServer::from_arc(api.clone()))
        .add_service(projects_pb::v1::project_service_server::ProjectServiceServer::from_arc(api.clone()))
        .add_service(projects_pb::v1::environment_service_server::EnvironmentServiceServer::from_arc(
            api.clone(),
        ))
        .add_service(projects_pb::v1::share_service_server::ShareServiceServer::from_arc(api.clone()))
        .add_service(storage_pb::v1::storage_service_server::StorageServiceServer::from_arc(api.clone()))
        .add_service(storage_pb::v1::upload_service_server::UploadServiceServer::from_arc(api.clone()))
        .add_service(teams_pb::v1::team_service_server::TeamServiceServer::from_arc(api.clone()))
        .add_service(audit_pb::v1::audit_service_server::AuditServiceServer::from_arc(api))
        .prepare()
        .into_axum_router()
}

impl Api {
    /// A list of this caller.
    fn list<'a>(&'a self, caller: &Caller, method: &'a str, arguments: &'a [&'a str]) -> List<'a> {
        let now_ms = self.services.clock.now_ms();
        List { secret: &self.services.page_key, caller: caller.account, method, arguments, now_ms }
    }
}

/// Who calls, as the gate established it.
fn caller<T>(request: &Request<T>) -> Result<Arc<Caller>, Status> {
    let found = request.extensions().get::<Arc<Caller>>().cloned();
    found.ok_or_else(|| Fault::internal("a service was reached without its caller").into())
}

/// The right to the project, as the gate established it.
fn access<T>(request: &Request<T>) -> Result<Arc<ProjectAccess>, Status> {
    let found = request.extensions().get::<Arc<ProjectAccess>>().cloned();
    found.ok_or_else(|| Fault::internal("a service was reached without its project").into())
}

/// Fields to change: every path of the mask must be the one that can be changed; without a mask it is meant.
fn check_mask(mask: Option<&prost_types::FieldMask>, only: &str) -> Result<(), String> {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    match paths.iter().find(|path| *path != only) {
        Some(other) => Err(other.clone()),
        None => Ok(()),
    }
}
