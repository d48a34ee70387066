//! `AuthService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_proto::auth::v1::{self as pb, auth_service_server::AuthService};

use super::{Api, caller};
use crate::{
    convert::{array, auth as convert, email, id},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl AuthService for Api {
    async fn register_start(
        &self,
        request: Request<pb::RegisterStartRequest>,
    ) -> Answer<pb::RegisterStartResponse> {
        let request = request.into_inner();
        let email = email("email", &request.email)?;
        let answer = self.services.auth.register_start(&email, &request.registration_request).await;
        Ok(Response::new(pb::RegisterStartResponse { registration_response: answer.map_err(Fault::from)? }))
    }

    async fn register_finish(
        &self,
        request: Request<pb::RegisterFinishRequest>,
    ) -> Answer<pb::RegisterFinishResponse> {
        let registration = convert::registration(request.into_inner())?;
        let account = self.services.auth.register_finish(registration).await.map_err(Fault::from)?;
        Ok(Response::new(pb::RegisterFinishResponse { account_id: account.to_string() }))
    }

    async fn login_start(&self, request: Request<pb::LoginStartRequest>) -> Answer<pb::LoginStartResponse> {
        let request = request.into_inner();
        let email = email("email", &request.email)?;
        let (attempt, ke2) =
            self.services.auth.login_start(&email, &request.ke1).await.map_err(Fault::from)?;
        Ok(Response::new(pb::LoginStartResponse { attempt_id: attempt.to_string(), ke2 }))
    }

    async fn login_finish(
        &self,
        request: Request<pb::LoginFinishRequest>,
    ) -> Answer<pb::LoginFinishResponse> {
        let request = request.into_inner();
        let attempt = id("attempt_id", &request.attempt_id)?;
        let proof = convert::login_proof(request)?;
        let opened = self.services.auth.login_finish(attempt, proof).await.map_err(Fault::from)?;
        Ok(Response::new(pb::LoginFinishResponse {
            session: Some(convert::session(opened.grant)),
            account_bundle: opened.bundle,
            password_wrap: opened.password_wrap,
        }))
    }

    async fn refresh(&self, request: Request<pb::RefreshRequest>) -> Answer<pb::RefreshResponse> {
        let request = request.into_inner();
        let token = array("refresh_token", &request.refresh_token)?;
        let next_hash = array("next_refresh_hash", &request.next_refresh_hash)?;
        let signature = array("holder_signature", &request.holder_signature)?;
        let grant = self.services.auth.refresh(token, next_hash, signature).await.map_err(Fault::from)?;
        Ok(Response::new(pb::RefreshResponse { session: Some(convert::session(grant)) }))
    }

    async fn logout(&self, request: Request<pb::LogoutRequest>) -> Answer<pb::LogoutResponse> {
        let caller = caller(&request)?;
        let everywhere = request.into_inner().everywhere;
        self.services.auth.logout(&caller, everywhere).await.map_err(Fault::from)?;
        Ok(Response::new(pb::LogoutResponse {}))
    }

    async fn recover_start(
        &self,
        request: Request<pb::RecoverStartRequest>,
    ) -> Answer<pb::RecoverStartResponse> {
        let request = request.into_inner();
        let email = email("email", &request.email)?;
        let offer = self.services.auth.recover_start(&email, &request.registration_request).await;
        Ok(Response::new(convert::recovery_offer(offer.map_err(Fault::from)?)))
    }

    async fn recover_finish(
        &self,
        request: Request<pb::RecoverFinishRequest>,
    ) -> Answer<pb::RecoverFinishResponse> {
        let proof = convert::recovery_proof(request.into_inner())?;
        self.services.auth.recover_finish(proof).await.map_err(Fault::from)?;
        Ok(Response::new(pb::RecoverFinishResponse {}))
    }

    async fn change_password_start(
        &self,
        request: Request<pb::ChangePasswordStartRequest>,
    ) -> Answer<pb::ChangePasswordStartResponse> {
        let caller = caller(&request)?;
        let message = request.into_inner().registration_request;
        let answer =
            self.services.auth.change_password_start(&caller, &message).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ChangePasswordStartResponse { registration_response: answer }))
    }

    async fn change_password_finish(
        &self,
        request: Request<pb::ChangePasswordFinishRequest>,
    ) -> Answer<pb::ChangePasswordFinishResponse> {
        let caller = caller(&request)?;
        let pb::ChangePasswordFinishRequest { registration_upload, password_wrap } = request.into_inner();
        let changed =
            self.services.auth.change_password_finish(&caller, registration_upload, password_wrap).await;
        changed.map_err(Fault::from)?;
        Ok(Response::new(pb::ChangePasswordFinishResponse {}))
    }
}
