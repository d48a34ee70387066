//! The rows: for each RPC a request that its owner may make in the standard world, and the reason that they get (`OK` when it
//! is done). `$name` is an id of whom the request is about, or something made for it; `$zeros:n` are n bytes of nothing.

/// An RPC, its request, and what the owner is answered.
pub type Row = (&'static str, &'static str, &'static str);

/// Every RPC of the contract.
pub const ROWS: &[Row] = &[
    ("ServerService.GetServerInfo", "{}", "OK"),
    // Accounts and sessions. What a login says is made up here: it must fail in the protocol, not at the gate.
    (
        "AuthService.RegisterStart",
        r#"{"email": "new@example.org", "registrationRequest": "$zeros:32"}"#,
        "LOGIN_MESSAGE_INVALID",
    ),
    (
        "AuthService.RegisterFinish",
        r#"{"email": "new@example.org", "registrationUpload": "$zeros:192", "accountId": "$unused",
            "accountBundle": "$zeros:200", "passwordWrap": "$zeros:74", "recoveryWrap": "$zeros:74"}"#,
        "ACCOUNT_BUNDLE_INVALID",
    ),
    (
        "AuthService.LoginStart",
        r#"{"email": "ada@example.org", "ke1": "$zeros:96"}"#,
        "LOGIN_MESSAGE_INVALID",
    ),
    (
        "AuthService.LoginFinish",
        r#"{"attemptId": "$unused", "ke3": "$zeros:64", "holderPublicKey": "$zeros:32",
            "holderSignature": "$zeros:64", "sessionMac": "$zeros:32"}"#,
        "ATTEMPT_UNKNOWN",
    ),
    (
        "AuthService.Refresh",
        r#"{"refreshToken": "$zeros:32", "holderSignature": "$zeros:64", "nextRefreshHash": "$zeros:32"}"#,
        "REFRESH_INVALID",
    ),
    ("AuthService.Logout", "{}", "OK"),
    (
        "AuthService.RecoverStart",
        r#"{"email": "ada@example.org", "registrationRequest": "$zeros:32"}"#,
        "LOGIN_MESSAGE_INVALID",
    ),
    (
        "AuthService.RecoverFinish",
        r#"{"attemptId": "$unused", "recoverySignature": "$zeros:64", "registrationUpload": "$zeros:192",
            "accountBundle": "$zeros:200", "passwordWrap": "$zeros:74", "recoveryWrap": "$zeros:74"}"#,
        "ACCOUNT_BUNDLE_INVALID",
    ),
    ("AuthService.ChangePasswordStart", r#"{"registrationRequest": "$zeros:32"}"#, "LOGIN_MESSAGE_INVALID"),
    (
        "AuthService.ChangePasswordFinish",
        r#"{"registrationUpload": "$zeros:192", "passwordWrap": "$zeros:74"}"#,
        "LOGIN_MESSAGE_INVALID",
    ),
    ("UserService.GetMe", "{}", "OK"),
    ("UserService.UpdateMe", r#"{"displayName": "Ada"}"#, "OK"),
    ("UserService.DeleteMe", r#"{"confirmEmail": "ada@example.org"}"#, "TEAM_HAS_MEMBERS"),
    ("UserService.FindUser", r#"{"email": "bob@example.org"}"#, "OK"),
    ("AccessService.ListPermissions", "{}", "OK"),
    (
        "AccessService.IssueCapability",
        r#"{"name": "ci", "holderPublicKey": "$holder", "possession": "$possession", "requestId": "$issue",
            "ttlSeconds": 600, "grants": [{"projectId": "$project_id", "permissions": ["project:read"]}]}"#,
        "OK",
    ),
    ("AccessService.VerifyCapability", r#"{"capability": "$zeros:200"}"#, "OK"),
    ("AccessService.RevokeCapability", r#"{"tokenId": "$token_id"}"#, "OK"),
    ("AccessService.ListCapabilities", "{}", "OK"),
    ("AccessService.ListIssuers", "{}", "OK"),
    ("AccessService.ExplainAccess", r#"{"projectId": "$project_id", "accountId": "$account_id"}"#, "OK"),
    (
        "ApiKeyService.CreateApiKey",
        r#"{"apiKeyId": "$unused", "name": "new", "secretHash": "$zeros:32", "ttlSeconds": 60,
            "scope": {"permissions": ["project:read"]}}"#,
        "OK",
    ),
    ("ApiKeyService.ListApiKeys", "{}", "OK"),
    ("ApiKeyService.GetOwnApiKey", "{}", "API_KEY_NEEDED"),
    (
        "ApiKeyService.RotateApiKey",
        r#"{"apiKeyId": "$api_key_id", "generation": 1, "secretHash": "$zeros:32"}"#,
        "OK",
    ),
    ("ApiKeyService.RevokeApiKey", r#"{"apiKeyId": "$api_key_id"}"#, "OK"),
    // Projects, environments, shares.
    ("ProjectService.CreateProject", r#"{"name": "new"}"#, "OK"),
    ("ProjectService.ListProjects", "{}", "OK"),
    ("ProjectService.GetProject", r#"{"projectId": "$project_id"}"#, "OK"),
    ("ProjectService.UpdateProject", r#"{"projectId": "$project_id", "name": "renamed"}"#, "OK"),
    ("ProjectService.DeleteProject", r#"{"projectId": "$project_id"}"#, "OK"),
    (
        "EnvironmentService.CreateEnvironment",
        r#"{"projectId": "$project_id", "name": "new", "environmentId": "$environment", "keyring": "$keyring"}"#,
        "OK",
    ),
    ("EnvironmentService.ListEnvironments", r#"{"projectId": "$project_id"}"#, "OK"),
    ("EnvironmentService.GetEnvironment", r#"{"projectId": "$project_id", "name": "production"}"#, "OK"),
    ("EnvironmentService.DeleteEnvironment", r#"{"projectId": "$project_id", "name": "production"}"#, "OK"),
    (
        "EnvironmentService.CloneEnvironment",
        r#"{"projectId": "$project_id", "name": "production", "sourceVersion": "1", "targetName": "copy",
            "environmentId": "$environment", "keyring": "$keyring"}"#,
        "OK",
    ),
    (
        "EnvironmentService.RotateEnvironmentKey",
        r#"{"projectId": "$project_id", "name": "production", "keyring": "$next_keyring"}"#,
        "OK",
    ),
    (
        "EnvironmentService.AddKeyring",
        r#"{"projectId": "$project_id", "name": "production", "accountId": "$account_id", "keyring": "$part"}"#,
        "OK",
    ),
    ("EnvironmentService.GetKeyring", r#"{"projectId": "$project_id", "name": "production"}"#, "OK"),
    (
        "EnvironmentService.UnlockKeyring",
        r#"{"projectId": "$project_id", "name": "production", "nonce": "$zeros:32"}"#,
        "API_KEY_NEEDED",
    ),
    (
        "ShareService.ShareProject",
        r#"{"projectId": "$project_id", "teamId": "$team_id", "permissions": ["project:read"],
            "accessList": "$list"}"#,
        "OK",
    ),
    (
        "ShareService.UnshareProject",
        r#"{"projectId": "$project_id", "teamId": "$team_id", "accessList": "$list"}"#,
        "ACCESS_LIST_INVALID",
    ),
    ("ShareService.ListShares", r#"{"projectId": "$project_id"}"#, "OK"),
    ("ShareService.PutAccessList", r#"{"projectId": "$project_id", "accessList": "$list"}"#, "OK"),
    ("ShareService.GetAccessList", r#"{"projectId": "$project_id"}"#, "OK"),
    // Teams.
    ("TeamService.CreateTeam", r#"{"name": "new"}"#, "OK"),
    ("TeamService.ListTeams", "{}", "OK"),
    ("TeamService.GetTeam", r#"{"teamId": "$team_id"}"#, "OK"),
    ("TeamService.UpdateTeam", r#"{"teamId": "$team_id", "name": "renamed"}"#, "OK"),
    ("TeamService.DeleteTeam", r#"{"teamId": "$team_id"}"#, "OK"),
    ("TeamService.AddMember", r#"{"teamId": "$team_id", "accountId": "$member_id"}"#, "MEMBER_EXISTS"),
    ("TeamService.ListMembers", r#"{"teamId": "$team_id"}"#, "OK"),
    (
        "TeamService.UpdateMember",
        r#"{"teamId": "$team_id", "accountId": "$member_id", "role": "admin"}"#,
        "OK",
    ),
    ("TeamService.RemoveMember", r#"{"teamId": "$team_id", "accountId": "$member_id"}"#, "OK"),
    // Versions and uploads.
    (
        "StorageService.PutBlob",
        r#"{"projectId": "$project_id", "envName": "production", "ciphertext": "$ciphertext", "seal": "$seal",
            "ifMatch": "$etag"}"#,
        "OK",
    ),
    ("StorageService.GetBlob", r#"{"projectId": "$project_id", "envName": "production"}"#, "OK"),
    ("StorageService.ReadBlob", r#"{"projectId": "$project_id", "envName": "production"}"#, "OK"),
    ("StorageService.StatBlob", r#"{"projectId": "$project_id", "envName": "production"}"#, "OK"),
    (
        "StorageService.DeleteBlob",
        r#"{"projectId": "$project_id", "envName": "production", "ifMatch": "$etag"}"#,
        "OK",
    ),
    ("StorageService.ListBlobs", r#"{"projectId": "$project_id"}"#, "OK"),
    ("StorageService.ListVersions", r#"{"projectId": "$project_id", "envName": "production"}"#, "OK"),
    (
        "UploadService.StartUpload",
        r#"{"projectId": "$project_id", "envName": "production", "ciphertextBytes": "$length",
            "digest": "$digest", "seal": "$seal", "ifMatch": "$etag"}"#,
        "OK",
    ),
    (
        "UploadService.PutChunk",
        r#"{"projectId": "$project_id", "envName": "production", "uploadId": "$upload_id", "index": 0,
            "data": "$ciphertext", "digest": "$digest"}"#,
        "OK",
    ),
    (
        "UploadService.GetUpload",
        r#"{"projectId": "$project_id", "envName": "production", "uploadId": "$upload_id"}"#,
        "OK",
    ),
    (
        "UploadService.CommitUpload",
        r#"{"projectId": "$project_id", "envName": "production", "uploadId": "$upload_id"}"#,
        "UPLOAD_INCOMPLETE",
    ),
    (
        "UploadService.AbortUpload",
        r#"{"projectId": "$project_id", "envName": "production", "uploadId": "$upload_id"}"#,
        "OK",
    ),
    // Logs.
    ("AuditService.ListEvents", r#"{"projectId": "$project_id"}"#, "OK"),
    ("AuditService.GetProof", r#"{"projectId": "$project_id", "index": "0"}"#, "OK"),
    ("AuditService.VerifyProof", r#"{"file": "nothing", "policy": "nothing"}"#, "LOG_POLICY_INVALID"),
    ("AuditService.ExportEvents", r#"{"projectId": "$project_id"}"#, "OK"),
    ("AuditService.GetLog", r#"{"projectId": "$project_id"}"#, "OK"),
    ("AuditService.GetLogFile", r#"{"projectId": "$project_id", "path": "checkpoint"}"#, "OK"),
    ("AuditService.ListAccountEvents", "{}", "OK"),
    ("AuditService.GetAccountProof", r#"{"index": "0"}"#, "OK"),
    ("AuditService.ExportAccountEvents", "{}", "OK"),
    ("AuditService.GetAccountLog", "{}", "OK"),
    ("AuditService.GetAccountLogFile", r#"{"path": "checkpoint"}"#, "OK"),
    ("AuditService.GetDirectoryFile", r#"{"path": "checkpoint"}"#, "OK"),
    ("AuditService.GetAccountKey", r#"{"accountId": "$account_id"}"#, "OK"),
    ("AuditService.CreateLogToken", r#"{"projectId": "$project_id"}"#, "OK"),
];

/// Ids of somebody else that a request may name and be done, and why that takes nothing from them.
pub const TOLD: &[(&str, &str, &str)] = &[
    (
        "TeamService.AddMember",
        "member_id",
        "ids of accounts are public in the directory, and lead to no address",
    ),
    (
        "AccessService.IssueCapability",
        "project_id",
        "it is issued for any place alike: what it gives is judged against its account's rights at each use",
    ),
    ("AuditService.GetAccountKey", "account_id", "the directory is public"),
];
