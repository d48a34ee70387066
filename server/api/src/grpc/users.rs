//! `UserService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::auth::{error::AuthError, model::Account};
use veilcloud_proto::auth::v1::{self as pb, user_service_server::UserService};

use super::{Api, caller, check_mask};
use crate::{
    convert::{auth as convert, email},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl UserService for Api {
    async fn get_me(&self, request: Request<pb::GetMeRequest>) -> Answer<pb::GetMeResponse> {
        let caller = caller(&request)?;
        let account = self.services.auth.me(&caller).await.map_err(Fault::from)?;
        Ok(Response::new(pb::GetMeResponse { user: Some(self.user(account).await?) }))
    }

    async fn update_me(&self, request: Request<pb::UpdateMeRequest>) -> Answer<pb::UpdateMeResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        check_mask(request.update_mask.as_ref(), "display_name")
            .map_err(|field| Fault::from(AuthError::Mask { field }))?;
        let account = self.services.auth.rename(&caller, request.display_name).await.map_err(Fault::from)?;
        Ok(Response::new(pb::UpdateMeResponse { user: Some(self.user(account).await?) }))
    }

    async fn delete_me(&self, request: Request<pb::DeleteMeRequest>) -> Answer<pb::DeleteMeResponse> {
        let caller = caller(&request)?;
        let confirm = email("confirm_email", &request.into_inner().confirm_email)?;
        self.services.auth.delete_account(&caller, &confirm).await.map_err(Fault::from)?;
        Ok(Response::new(pb::DeleteMeResponse {}))
    }

    async fn find_user(&self, request: Request<pb::FindUserRequest>) -> Answer<pb::FindUserResponse> {
        let caller = caller(&request)?;
        let email = email("email", &request.into_inner().email)?;
        let account = self.services.auth.find(&caller, &email).await.map_err(Fault::from)?;
        let (account_id, display_name) = (account.id.to_string(), account.display_name);
        Ok(Response::new(pb::FindUserResponse { account_id, display_name }))
    }
}

impl Api {
    async fn user(&self, account: Account) -> Result<pb::User, Fault> {
        let used = self.services.storage.used_bytes(account.id).await?;
        Ok(convert::user(account, used))
    }
}
