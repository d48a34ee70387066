//! Other people's accounts.

use veilcloud_proto::auth::v1 as pb;
use veilcore::id::AccountId;

use crate::client::Client;
use crate::error::Result;
use crate::times;
use crate::transport::rpc;

/// Somebody's account, as the server names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Account id. Whether the server named the right one is seen by comparing keys with the person.
    pub account_id: AccountId,
    /// Name to show; chosen by the account, so it proves nothing.
    pub display_name: String,
}

/// Other people; see [`Client::users`].
#[derive(Clone)]
pub struct Users {
    client: Client,
}

impl Users {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The account that logs in with exactly this e-mail.
    ///
    /// # Errors
    /// [`crate::Error::Api`] with `USER_UNKNOWN`, `FIELD_INVALID` or `RATE_LIMITED`: guesses are metered.
    pub async fn find(&self, email: &str) -> Result<User> {
        let request = pb::FindUserRequest { email: email.to_owned() };
        let answer: pb::FindUserResponse = self.client.call(&rpc::FIND_USER, &request).await?;
        let account_id = times::id(&answer.account_id, &rpc::FIND_USER)?;
        Ok(User { account_id, display_name: answer.display_name })
    }
}
