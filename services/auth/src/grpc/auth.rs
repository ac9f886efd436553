use std::sync::Arc;

use contracts::auth::v1::auth_service_server::AuthService;
use contracts::auth::v1::{
    AccountTokenResponse, ConfirmEmailRequest, ConfirmPasswordResetRequest, FinishOidcRequest,
    GetJwksRequest, GetJwksResponse, IssueAccountTokenRequest, IssueServiceTokenRequest,
    IssueServiceTokenResponse, ListOidcProvidersRequest, ListOidcProvidersResponse, ListRevocationsRequest,
    ListRevocationsResponse, LoginRequest, LogoutRequest, RefreshRequest, RegisterRequest, RegisterResponse,
    RequestPasswordResetRequest, StartOidcRequest, StartOidcResponse, TokenResponse, VerifyEmailRequest,
};
use contracts::{Empty, timestamp};
use service_runtime::grpc::admit;
use tonic::{Request, Response, Status};

use super::convert::{account_token, id, jwk, provider, revocation};
use crate::app::Auth;
use crate::usecases::confirm_email::confirm_email;
use crate::usecases::confirm_password_reset::confirm_password_reset;
use crate::usecases::issue_service_token::issue_service_token;
use crate::usecases::list_revocations::list_revocations;
use crate::usecases::login::{SignIn, login};
use crate::usecases::logout::logout;
use crate::usecases::refresh::refresh;
use crate::usecases::register::register;
use crate::usecases::request_password_reset::request_password_reset;
use crate::usecases::verify_email::verify_email;
use crate::usecases::{finish_oidc, service_accounts, start_oidc};

pub struct AuthGrpc {
    app: Arc<Auth>,
}

impl AuthGrpc {
    pub fn new(app: Arc<Auth>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl AuthService for AuthGrpc {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(register(&self.app, req).await?.into()))
    }

    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<TokenResponse>, Status> {
        let (_, req) = admit(request)?;
        let shown = SignIn {
            email: &req.email,
            password: &req.password,
            totp_code: req.totp_code.as_deref(),
            device_token: req.device_token.as_deref(),
        };
        Ok(Response::new(login(&self.app, shown).await?.into()))
    }

    async fn refresh(&self, request: Request<RefreshRequest>) -> Result<Response<TokenResponse>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(refresh(&self.app, req.refresh_token).await?.into()))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<Empty>, Status> {
        let (caller, _) = admit(request)?;
        logout(&self.app, &caller).await?;
        Ok(Response::new(Empty {}))
    }

    async fn verify_email(&self, request: Request<VerifyEmailRequest>) -> Result<Response<Empty>, Status> {
        let (_, req) = admit(request)?;
        verify_email(&self.app, req.token).await?;
        Ok(Response::new(Empty {}))
    }

    async fn request_password_reset(
        &self,
        request: Request<RequestPasswordResetRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (_, req) = admit(request)?;
        request_password_reset(&self.app, &req.email).await?;
        Ok(Response::new(Empty {}))
    }

    async fn confirm_password_reset(
        &self,
        request: Request<ConfirmPasswordResetRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (_, req) = admit(request)?;
        confirm_password_reset(&self.app, req.token, &req.new_password).await?;
        Ok(Response::new(Empty {}))
    }

    async fn confirm_email(&self, request: Request<ConfirmEmailRequest>) -> Result<Response<Empty>, Status> {
        let (_, req) = admit(request)?;
        confirm_email(&self.app, req.token).await?;
        Ok(Response::new(Empty {}))
    }

    async fn get_jwks(&self, request: Request<GetJwksRequest>) -> Result<Response<GetJwksResponse>, Status> {
        admit(request)?;
        Ok(Response::new(GetJwksResponse {
            keys: self.app.keys.published().into_iter().map(jwk).collect(),
        }))
    }

    async fn issue_account_token(
        &self,
        request: Request<IssueAccountTokenRequest>,
    ) -> Result<Response<AccountTokenResponse>, Status> {
        let (_, req) = admit(request)?;
        let client = id("client_id", &req.client_id)?;
        let token = service_accounts::issue_token(&self.app, client, &req.client_secret).await?;
        Ok(Response::new(account_token(token)))
    }

    async fn list_oidc_providers(
        &self,
        request: Request<ListOidcProvidersRequest>,
    ) -> Result<Response<ListOidcProvidersResponse>, Status> {
        admit(request)?;
        let providers = self.app.providers.all().map(provider).collect();
        Ok(Response::new(ListOidcProvidersResponse {
            providers,
            next_page_token: String::new(),
        }))
    }

    async fn start_oidc(
        &self,
        request: Request<StartOidcRequest>,
    ) -> Result<Response<StartOidcResponse>, Status> {
        let (_, req) = admit(request)?;
        let started = start_oidc::start(&self.app, &req.provider, req.redirect_uri.as_deref()).await?;
        Ok(Response::new(StartOidcResponse {
            authorization_url: started.authorization_url,
            verifier: started.verifier,
            expires_in: i32::try_from(start_oidc::LIFETIME.whole_seconds()).unwrap_or_default(),
        }))
    }

    async fn finish_oidc(
        &self,
        request: Request<FinishOidcRequest>,
    ) -> Result<Response<TokenResponse>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(finish_oidc::finish(&self.app, req).await?.into()))
    }

    async fn issue_service_token(
        &self,
        request: Request<IssueServiceTokenRequest>,
    ) -> Result<Response<IssueServiceTokenResponse>, Status> {
        let (_, req) = admit(request)?;
        let (access_token, expires_in) =
            issue_service_token(&self.app, &req.service, &req.secret, &req.audience)?;
        Ok(Response::new(IssueServiceTokenResponse {
            access_token,
            expires_in,
        }))
    }

    async fn list_revocations(
        &self,
        request: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        let (_, req) = admit(request)?;
        let (entries, as_of) =
            list_revocations(&self.app, req.since.as_ref().and_then(contracts::moment)).await?;
        let revocations = entries.into_iter().map(revocation).collect();
        Ok(Response::new(ListRevocationsResponse {
            revocations,
            as_of: Some(timestamp(as_of)),
        }))
    }
}
