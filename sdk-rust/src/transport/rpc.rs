//! The calls this client makes: path, who calls, how long an answer may take.

use std::time::Duration;

/// One method of the contract.
pub(crate) struct Rpc {
    /// gRPC `:path`, the target of the proof.
    pub(crate) path: &'static str,
    /// Whether it needs a session.
    pub(crate) session: bool,
    /// Longest time for the answer, all tries together.
    pub(crate) timeout: Duration,
}

/// Answers that the server gives from memory or one transaction.
const SHORT: Duration = Duration::from_secs(20);
/// Answers behind a message of up to 1 MiB.
const LONG: Duration = Duration::from_secs(60);
/// Answers behind the hashing of a whole blob, and streams of one.
const WHOLE_BLOB: Duration = Duration::from_secs(3600);

macro_rules! rpcs {
    ($($name:ident = $session:ident $timeout:ident $path:literal;)+) => {
        $(pub(crate) const $name: Rpc = Rpc { path: $path, session: rpcs!(@$session), timeout: $timeout };)+
        #[cfg(test)]
        pub(crate) const ALL: &[&Rpc] = &[$(&$name),+];
    };
    (@anyone) => { false };
    (@session) => { true };
}

rpcs! {
    SERVER_INFO = anyone SHORT "/veilcloud.common.v1.ServerService/GetServerInfo";
    REGISTER_START = anyone SHORT "/veilcloud.auth.v1.AuthService/RegisterStart";
    REGISTER_FINISH = anyone SHORT "/veilcloud.auth.v1.AuthService/RegisterFinish";
    LOGIN_START = anyone SHORT "/veilcloud.auth.v1.AuthService/LoginStart";
    LOGIN_FINISH = anyone SHORT "/veilcloud.auth.v1.AuthService/LoginFinish";
    REFRESH = anyone SHORT "/veilcloud.auth.v1.AuthService/Refresh";
    LOGOUT = session SHORT "/veilcloud.auth.v1.AuthService/Logout";
    RECOVER_START = anyone SHORT "/veilcloud.auth.v1.AuthService/RecoverStart";
    RECOVER_FINISH = anyone SHORT "/veilcloud.auth.v1.AuthService/RecoverFinish";
    CHANGE_PASSWORD_START = session SHORT "/veilcloud.auth.v1.AuthService/ChangePasswordStart";
    CHANGE_PASSWORD_FINISH = session SHORT "/veilcloud.auth.v1.AuthService/ChangePasswordFinish";
    GET_ME = session SHORT "/veilcloud.auth.v1.UserService/GetMe";
    UPDATE_ME = session SHORT "/veilcloud.auth.v1.UserService/UpdateMe";
    DELETE_ME = session SHORT "/veilcloud.auth.v1.UserService/DeleteMe";
    FIND_USER = session SHORT "/veilcloud.auth.v1.UserService/FindUser";
    LIST_PERMISSIONS = anyone SHORT "/veilcloud.auth.v1.AccessService/ListPermissions";
    LIST_ISSUERS = anyone SHORT "/veilcloud.auth.v1.AccessService/ListIssuers";
    ISSUE_CAPABILITY = session SHORT "/veilcloud.auth.v1.AccessService/IssueCapability";
    VERIFY_CAPABILITY = session SHORT "/veilcloud.auth.v1.AccessService/VerifyCapability";
    REVOKE_CAPABILITY = session SHORT "/veilcloud.auth.v1.AccessService/RevokeCapability";
    LIST_CAPABILITIES = session SHORT "/veilcloud.auth.v1.AccessService/ListCapabilities";
    EXPLAIN_ACCESS = session SHORT "/veilcloud.auth.v1.AccessService/ExplainAccess";
    CREATE_API_KEY = session SHORT "/veilcloud.auth.v1.ApiKeyService/CreateApiKey";
    LIST_API_KEYS = session SHORT "/veilcloud.auth.v1.ApiKeyService/ListApiKeys";
    ROTATE_API_KEY = session SHORT "/veilcloud.auth.v1.ApiKeyService/RotateApiKey";
    REVOKE_API_KEY = session SHORT "/veilcloud.auth.v1.ApiKeyService/RevokeApiKey";
    GET_OWN_API_KEY = session SHORT "/veilcloud.auth.v1.ApiKeyService/GetOwnApiKey";
    CREATE_TEAM = session SHORT "/veilcloud.teams.v1.TeamService/CreateTeam";
    LIST_TEAMS = session SHORT "/veilcloud.teams.v1.TeamService/ListTeams";
    GET_TEAM = session SHORT "/veilcloud.teams.v1.TeamService/GetTeam";
    UPDATE_TEAM = session SHORT "/veilcloud.teams.v1.TeamService/UpdateTeam";
    DELETE_TEAM = session SHORT "/veilcloud.teams.v1.TeamService/DeleteTeam";
    ADD_MEMBER = session SHORT "/veilcloud.teams.v1.TeamService/AddMember";
    LIST_MEMBERS = session SHORT "/veilcloud.teams.v1.TeamService/ListMembers";
    UPDATE_MEMBER = session SHORT "/veilcloud.teams.v1.TeamService/UpdateMember";
    REMOVE_MEMBER = session SHORT "/veilcloud.teams.v1.TeamService/RemoveMember";
    CREATE_PROJECT = session SHORT "/veilcloud.projects.v1.ProjectService/CreateProject";
    LIST_PROJECTS = session SHORT "/veilcloud.projects.v1.ProjectService/ListProjects";
    GET_PROJECT = session SHORT "/veilcloud.projects.v1.ProjectService/GetProject";
    UPDATE_PROJECT = session SHORT "/veilcloud.projects.v1.ProjectService/UpdateProject";
    DELETE_PROJECT = session SHORT "/veilcloud.projects.v1.ProjectService/DeleteProject";
    CREATE_ENVIRONMENT = session SHORT "/veilcloud.projects.v1.EnvironmentService/CreateEnvironment";
    LIST_ENVIRONMENTS = session SHORT "/veilcloud.projects.v1.EnvironmentService/ListEnvironments";
    GET_ENVIRONMENT = session SHORT "/veilcloud.projects.v1.EnvironmentService/GetEnvironment";
    DELETE_ENVIRONMENT = session SHORT "/veilcloud.projects.v1.EnvironmentService/DeleteEnvironment";
    CLONE_ENVIRONMENT = session SHORT "/veilcloud.projects.v1.EnvironmentService/CloneEnvironment";
    ROTATE_KEY = session SHORT "/veilcloud.projects.v1.EnvironmentService/RotateEnvironmentKey";
    ADD_KEYRING = session SHORT "/veilcloud.projects.v1.EnvironmentService/AddKeyring";
    UNLOCK_KEYRING = session SHORT "/veilcloud.projects.v1.EnvironmentService/UnlockKeyring";
    GET_KEYRING = session SHORT "/veilcloud.projects.v1.EnvironmentService/GetKeyring";
    SHARE_PROJECT = session SHORT "/veilcloud.projects.v1.ShareService/ShareProject";
    UNSHARE_PROJECT = session SHORT "/veilcloud.projects.v1.ShareService/UnshareProject";
    LIST_SHARES = session SHORT "/veilcloud.projects.v1.ShareService/ListShares";
    PUT_ACCESS_LIST = session SHORT "/veilcloud.projects.v1.ShareService/PutAccessList";
    GET_ACCESS_LIST = session SHORT "/veilcloud.projects.v1.ShareService/GetAccessList";
    PUT_BLOB = session LONG "/veilcloud.storage.v1.StorageService/PutBlob";
    GET_BLOB = session WHOLE_BLOB "/veilcloud.storage.v1.StorageService/GetBlob";
    STAT_BLOB = session SHORT "/veilcloud.storage.v1.StorageService/StatBlob";
    DELETE_BLOB = session SHORT "/veilcloud.storage.v1.StorageService/DeleteBlob";
    LIST_VERSIONS = session SHORT "/veilcloud.storage.v1.StorageService/ListVersions";
    START_UPLOAD = session SHORT "/veilcloud.storage.v1.UploadService/StartUpload";
    PUT_CHUNK = session LONG "/veilcloud.storage.v1.UploadService/PutChunk";
    GET_UPLOAD = session SHORT "/veilcloud.storage.v1.UploadService/GetUpload";
    COMMIT_UPLOAD = session WHOLE_BLOB "/veilcloud.storage.v1.UploadService/CommitUpload";
    ABORT_UPLOAD = session SHORT "/veilcloud.storage.v1.UploadService/AbortUpload";
    GET_PROOF = session SHORT "/veilcloud.audit.v1.AuditService/GetProof";
    GET_ACCOUNT_PROOF = session SHORT "/veilcloud.audit.v1.AuditService/GetAccountProof";
    GET_LOG_FILE = session LONG "/veilcloud.audit.v1.AuditService/GetLogFile";
    GET_ACCOUNT_LOG_FILE = session LONG "/veilcloud.audit.v1.AuditService/GetAccountLogFile";
    GET_DIRECTORY_FILE = session LONG "/veilcloud.audit.v1.AuditService/GetDirectoryFile";
    GET_ACCOUNT_KEY = session SHORT "/veilcloud.audit.v1.AuditService/GetAccountKey";
    CREATE_LOG_TOKEN = session SHORT "/veilcloud.audit.v1.AuditService/CreateLogToken";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_in_the_contract_with_the_caller_it_names() {
        for rpc in ALL {
            let (service, method) = rpc.path[1..].split_once('/').expect("two parts");
            let service =
                veilcloud_proto::POOL.get_service_by_name(service).expect("a service of the contract");
            let method = service.methods().find(|m| m.name() == method).expect("a method of the contract");
            let options = method.options();
            let access = options.get_extension(&veilcloud_proto::ACCESS);
            let caller = access.as_message().and_then(|m| m.get_field_by_name("caller")?.as_enum_number());
            assert_eq!(caller == Some(2), rpc.session, "{}", rpc.path);
        }
    }
}
