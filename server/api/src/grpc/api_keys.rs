//! `ApiKeyService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_proto::auth::v1::{self as pb, api_key_service_server::ApiKeyService};
use veilcore::id::ApiKeyId;

use super::{Api, caller};
use crate::{
    convert::{api_keys as convert, id},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ApiKeyService for Api {
    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Answer<pb::CreateApiKeyResponse> {
        let caller = caller(&request)?;
        let new = convert::new_key(request.into_inner())?;
        let key = self.services.api_keys.create(&caller, new).await.map_err(Fault::from)?;
        Ok(Response::new(pb::CreateApiKeyResponse { api_key: Some(convert::key(key)) }))
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Answer<pb::ListApiKeysResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let list = self.list(&caller, "ListApiKeys", &[]);
        let page = list.page::<ApiKeyId>(&request.page_token, request.page_size)?;
        let page = self.services.api_keys.list(&caller, page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListApiKeysResponse {
            api_keys: page.items.into_iter().map(convert::key).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn rotate_api_key(
        &self,
        request: Request<pb::RotateApiKeyRequest>,
    ) -> Answer<pb::RotateApiKeyResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let key: ApiKeyId = id("api_key_id", &request.api_key_id)?;
        let new = convert::new_secret(request)?;
        let key = self.services.api_keys.rotate(&caller, key, new).await.map_err(Fault::from)?;
        Ok(Response::new(pb::RotateApiKeyResponse { api_key: Some(convert::key(key)) }))
    }

    async fn get_own_api_key(
        &self,
        request: Request<pb::GetOwnApiKeyRequest>,
    ) -> Answer<pb::GetOwnApiKeyResponse> {
        let caller = caller(&request)?;
        let own = self.services.api_keys.own_key(&caller).await;
        let (key, generation, half) = own.map_err(Fault::from)?;
        Ok(Response::new(convert::own_key(key, generation, half)))
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Answer<pb::RevokeApiKeyResponse> {
        let caller = caller(&request)?;
        let key: ApiKeyId = id("api_key_id", &request.into_inner().api_key_id)?;
        self.services.api_keys.revoke(&caller, key).await.map_err(Fault::from)?;
        Ok(Response::new(pb::RevokeApiKeyResponse {}))
    }
}
