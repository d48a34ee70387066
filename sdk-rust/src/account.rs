//! The account of the session.

use time::OffsetDateTime;
use veilcloud_proto::auth::v1 as pb;
use veilcore::id::AccountId;
use veilvault::identity::AccountBundle;

use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::secret::Password;
use crate::times;
use crate::transport::rpc;

/// An account, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Account id.
    pub account_id: AccountId,
    /// E-mail it logs in with.
    pub email: String,
    /// Name to show; visible to the server.
    pub display_name: String,
    /// Rate tier: `free`, `pro`, `team` or `enterprise`.
    pub tier: String,
    /// Bytes stored.
    pub used_bytes: u64,
    /// Bytes it may store.
    pub quota_bytes: u64,
    /// When it was registered.
    pub created_at: OffsetDateTime,
}

impl Client {
    pub(crate) async fn account(&self) -> Result<Account> {
        let answer: pb::GetMeResponse = self.call(&rpc::GET_ME, &pb::GetMeRequest {}).await?;
        self.read_user(answer.user).await
    }

    /// Changes the name to show, at most 100 bytes; visible to the server.
    ///
    /// # Errors
    /// What the server says.
    pub async fn set_display_name(&self, name: &str) -> Result<Account> {
        let request = pb::UpdateMeRequest {
            display_name: name.to_owned(),
            update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] }),
        };
        let answer: pb::UpdateMeResponse = self.call(&rpc::UPDATE_ME, &request).await?;
        self.read_user(answer.user).await
    }

    /// Deletes the account with all its projects and bytes. Cannot be undone. Asks for the password because the
    /// server demands a login within the last five minutes.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], or what the server says.
    pub async fn delete_account(&self, email: &str, password: &Password) -> Result<()> {
        let (session, _) = self.open_session(email, password).await?;
        let request = pb::DeleteMeRequest { confirm_email: session.email.clone() };
        let _: pb::DeleteMeResponse = self.call(&rpc::DELETE_ME, &request).await?;
        self.forget_session().await
    }

    async fn read_user(&self, user: Option<pb::User>) -> Result<Account> {
        let user = times::present(user, &rpc::GET_ME)?;
        let session = self.fresh_session().await?;
        let bundle = AccountBundle::verify(&user.account_bundle);
        let same = bundle.is_ok_and(|bundle| bundle.matches(&session.identity).is_ok());
        if !same || times::id::<AccountId>(&user.account_id, &rpc::GET_ME)? != session.account() {
            return Err(Error::integrity(IntegrityReason::IdentityMismatch, "the account"));
        }
        Ok(Account {
            account_id: session.account(),
            email: user.email,
            display_name: user.display_name,
            tier: user.tier,
            used_bytes: user.used_bytes,
            quota_bytes: user.quota_bytes,
            created_at: times::required(user.created_at, &rpc::GET_ME)?,
        })
    }
}
