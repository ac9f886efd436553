use std::sync::Arc;

use access_token::permissions;
use contracts::Empty;
use contracts::auth::v1::user_service_server::UserService;
use contracts::auth::v1::{
    AccountTokenResponse, BatchGetUsersRequest, BatchGetUsersResponse, ChangeEmailRequest,
    ChangePasswordRequest, ConfirmTotpRequest, ConfirmTotpResponse, CreateServiceAccountRequest,
    CreateServiceAccountResponse, CreateUserRequest, DeleteIdentityRequest, DeleteMeRequest,
    DeleteOtherSessionsRequest, DeleteServiceAccountRequest, DeleteSessionRequest, DeleteTotpRequest,
    DeleteUserRequest, DeleteUserSessionRequest, DeleteUserSessionsRequest, DeleteUserTotpRequest,
    EnrollTotpRequest, EnrollTotpResponse, ExportMeRequest, ExportUserRequest, FindUsersByEmailRequest,
    FindUsersByEmailResponse, FoundUser, GetMeRequest, GetUserRequest, ImpersonateUserRequest,
    ImportUsersRequest, ListAuditLogRequest, ListAuditLogResponse, ListDepartmentsRequest,
    ListDepartmentsResponse, ListIdentitiesRequest, ListIdentitiesResponse, ListRolesRequest,
    ListRolesResponse, ListServiceAccountsRequest, ListServiceAccountsResponse, ListSessionsRequest,
    ListSessionsResponse, ListUserSessionsRequest, ListUsersRequest, ListUsersResponse, Operation,
    PutRoleRequest, RenewRecoveryCodesRequest, RenewRecoveryCodesResponse, ResendVerificationRequest, Role,
    UpdateMeRequest, UpdateUserRequest, User,
};
use service_runtime::grpc::{admit, with_http_status};
use tonic::{Request, Response, Status};

use super::convert::{account_token, foreign_session, given_moment, id, paging, session};
use crate::app::Auth;
use crate::storage::audit::Filter;
use crate::storage::roles::Role as StoredRole;
use crate::storage::users::Changes;
use crate::usecases::audit;
use crate::usecases::change_email::change_email;
use crate::usecases::change_password::change_password;
use crate::usecases::create_user::create_user;
use crate::usecases::delete_me::delete_me;
use crate::usecases::delete_user::delete_user;
use crate::usecases::export_me::export_me;
use crate::usecases::export_user::export_user;
use crate::usecases::impersonate::impersonate;
use crate::usecases::import_users::import_users;
use crate::usecases::list_departments::list_departments;
use crate::usecases::list_users::{UserFilter, list_users};
use crate::usecases::put_role::{list_roles, put_role};
use crate::usecases::reach::Reach;
use crate::usecases::sessions::{end_other_sessions, end_session, list_sessions};
use crate::usecases::update_user::{update_me, update_user};
use crate::usecases::verify_email::resend_verification;
use crate::usecases::{
    identities, second_factor, service_accounts, user, user_sessions, user_within, users_by_email,
    users_by_id,
};

pub struct UserGrpc {
    app: Arc<Auth>,
}

impl UserGrpc {
    pub fn new(app: Arc<Auth>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl UserService for UserGrpc {
    async fn get_me(&self, request: Request<GetMeRequest>) -> Result<Response<User>, Status> {
        let (caller, _) = admit(request)?;
        Ok(Response::new(user(&self.app, caller.user()?.id).await?.into()))
    }

    async fn update_me(&self, request: Request<UpdateMeRequest>) -> Result<Response<User>, Status> {
        let (caller, req) = admit(request)?;
        let UpdateMeRequest {
            full_name,
            locale,
            time_zone,
        } = req;
        let changes = Changes {
            full_name,
            locale,
            time_zone,
            ..Changes::default()
        };
        Ok(Response::new(
            update_me(&self.app, &caller, changes).await?.into(),
        ))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        change_password(&self.app, &caller, &req.current_password, &req.new_password).await?;
        Ok(Response::new(Empty {}))
    }

    async fn resend_verification(
        &self,
        request: Request<ResendVerificationRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, _) = admit(request)?;
        resend_verification(&self.app, &caller).await?;
        Ok(Response::new(Empty {}))
    }

    async fn change_email(&self, request: Request<ChangeEmailRequest>) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        change_email(&self.app, &caller, &req.new_email, &req.current_password).await?;
        Ok(Response::new(Empty {}))
    }

    async fn enroll_totp(
        &self,
        request: Request<EnrollTotpRequest>,
    ) -> Result<Response<EnrollTotpResponse>, Status> {
        let (caller, _) = admit(request)?;
        let (secret, otpauth_uri) = second_factor::enroll(&self.app, &caller).await?;
        Ok(Response::new(EnrollTotpResponse { secret, otpauth_uri }))
    }

    async fn confirm_totp(
        &self,
        request: Request<ConfirmTotpRequest>,
    ) -> Result<Response<ConfirmTotpResponse>, Status> {
        let (caller, req) = admit(request)?;
        let recovery_codes = second_factor::confirm(&self.app, &caller, &req.code).await?;
        Ok(Response::new(ConfirmTotpResponse { recovery_codes }))
    }

    async fn renew_recovery_codes(
        &self,
        request: Request<RenewRecoveryCodesRequest>,
    ) -> Result<Response<RenewRecoveryCodesResponse>, Status> {
        let (caller, req) = admit(request)?;
        let recovery_codes = second_factor::renew_recovery_codes(&self.app, &caller, &req.code).await?;
        Ok(Response::new(RenewRecoveryCodesResponse { recovery_codes }))
    }

    async fn delete_totp(&self, request: Request<DeleteTotpRequest>) -> Result<Response<Empty>, Status> {
        let (caller, _) = admit(request)?;
        second_factor::remove(&self.app, &caller).await?;
        Ok(Response::new(Empty {}))
    }

    async fn import_users(
        &self,
        request: Request<ImportUsersRequest>,
    ) -> Result<Response<Operation>, Status> {
        let (caller, req) = admit(request)?;
        Ok(Response::new(import_users(&self.app, &caller, req).await?.into()))
    }

    async fn export_me(&self, request: Request<ExportMeRequest>) -> Result<Response<Operation>, Status> {
        let (caller, _) = admit(request)?;
        Ok(Response::new(export_me(&self.app, &caller).await?.into()))
    }

    async fn delete_me(&self, request: Request<DeleteMeRequest>) -> Result<Response<Operation>, Status> {
        let (caller, _) = admit(request)?;
        Ok(Response::new(delete_me(&self.app, &caller).await?.into()))
    }

    async fn export_user(&self, request: Request<ExportUserRequest>) -> Result<Response<Operation>, Status> {
        let (caller, req) = admit(request)?;
        let operation = export_user(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(operation.into()))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<Operation>, Status> {
        let (caller, req) = admit(request)?;
        let operation = delete_user(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(operation.into()))
    }

    async fn impersonate_user(
        &self,
        request: Request<ImpersonateUserRequest>,
    ) -> Result<Response<AccountTokenResponse>, Status> {
        let (caller, req) = admit(request)?;
        let token = impersonate(&self.app, &caller, id("id", &req.id)?, &req.reason).await?;
        Ok(Response::new(account_token(token)))
    }

    async fn list_service_accounts(
        &self,
        request: Request<ListServiceAccountsRequest>,
    ) -> Result<Response<ListServiceAccountsResponse>, Status> {
        let (_, req) = admit(request)?;
        let page =
            service_accounts::list(&self.app, paging(req.page_size, req.page_token.as_deref())).await?;
        Ok(Response::new(ListServiceAccountsResponse {
            service_accounts: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn create_service_account(
        &self,
        request: Request<CreateServiceAccountRequest>,
    ) -> Result<Response<CreateServiceAccountResponse>, Status> {
        let (caller, req) = admit(request)?;
        let days = i64::from(req.expires_in_days.unwrap_or(365));
        let (account, client_secret) =
            service_accounts::create(&self.app, &caller, req.name, req.permissions, days).await?;
        Ok(Response::new(CreateServiceAccountResponse {
            service_account: Some(account.into()),
            client_secret,
        }))
    }

    async fn delete_service_account(
        &self,
        request: Request<DeleteServiceAccountRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        service_accounts::end(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn list_audit_log(
        &self,
        request: Request<ListAuditLogRequest>,
    ) -> Result<Response<ListAuditLogResponse>, Status> {
        let (_, req) = admit(request)?;
        let filter = Filter {
            actor: req
                .actor_id
                .as_deref()
                .map(|text| id("actor_id", text))
                .transpose()?,
            target: req.target_id,
            action: req.action,
            from: given_moment("from", req.from.as_deref())?,
            to: given_moment("to", req.to.as_deref())?,
        };
        let paging = paging(req.page_size, req.page_token.as_deref());
        let page = audit::list(&self.app, filter, paging).await?;
        Ok(Response::new(ListAuditLogResponse {
            entries: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let current = caller.user()?.session_id;
        let paging = paging(req.page_size, req.page_token.as_deref());
        let page = list_sessions(&self.app, &caller, paging).await?;
        let sessions = page.items.into_iter();
        Ok(Response::new(ListSessionsResponse {
            sessions: sessions.map(|stored| session(stored, current)).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn delete_session(
        &self,
        request: Request<DeleteSessionRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        end_session(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn delete_other_sessions(
        &self,
        request: Request<DeleteOtherSessionsRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, _) = admit(request)?;
        end_other_sessions(&self.app, &caller).await?;
        Ok(Response::new(Empty {}))
    }

    async fn list_user_sessions(
        &self,
        request: Request<ListUserSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let (reach, user) = (Reach::of(&self.app, &caller).await?, id("id", &req.id)?);
        let paging = paging(req.page_size, req.page_token.as_deref());
        let page = user_sessions::list_of_user(&self.app, &reach, user, paging).await?;
        Ok(Response::new(ListSessionsResponse {
            sessions: page.items.into_iter().map(foreign_session).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn delete_user_sessions(
        &self,
        request: Request<DeleteUserSessionsRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        let (reach, user) = (Reach::of(&self.app, &caller).await?, id("id", &req.id)?);
        user_sessions::end_of_user(&self.app, &reach, user, None).await?;
        Ok(Response::new(Empty {}))
    }

    async fn delete_user_session(
        &self,
        request: Request<DeleteUserSessionRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        let (reach, user) = (Reach::of(&self.app, &caller).await?, id("id", &req.id)?);
        let session = id("session_id", &req.session_id)?;
        user_sessions::end_of_user(&self.app, &reach, user, Some(session)).await?;
        Ok(Response::new(Empty {}))
    }

    async fn delete_user_totp(
        &self,
        request: Request<DeleteUserTotpRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        user_sessions::remove_factor(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn list_identities(
        &self,
        request: Request<ListIdentitiesRequest>,
    ) -> Result<Response<ListIdentitiesResponse>, Status> {
        let (caller, req) = admit(request)?;
        let paging = paging(req.page_size, req.page_token.as_deref());
        let page = identities::list(&self.app, &caller, paging).await?;
        Ok(Response::new(ListIdentitiesResponse {
            identities: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn delete_identity(
        &self,
        request: Request<DeleteIdentityRequest>,
    ) -> Result<Response<Empty>, Status> {
        let (caller, req) = admit(request)?;
        identities::unlink(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(Empty {}))
    }

    async fn list_departments(
        &self,
        request: Request<ListDepartmentsRequest>,
    ) -> Result<Response<ListDepartmentsResponse>, Status> {
        let (caller, req) = admit(request)?;
        let reach = Reach::of(&self.app, &caller).await?;
        let paging = paging(req.page_size, req.page_token.as_deref());
        let page = list_departments(&self.app, &reach, paging).await?;
        Ok(Response::new(ListDepartmentsResponse {
            departments: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let (caller, req) = admit(request)?;
        let reach = Reach::of(&self.app, &caller).await?;
        let filter = UserFilter {
            search: req.q.as_deref(),
            role: req.role.as_deref(),
            department: req.department.as_deref().filter(|name| !name.is_empty()),
            is_active: req.is_active,
        };
        let paging = paging(req.page_size, req.page_token.as_deref());
        let page = list_users(&self.app, &reach, filter, paging).await?;
        let users = page.items.into_iter().map(User::from).collect();
        Ok(Response::new(ListUsersResponse {
            users,
            next_page_token: page.next_page_token,
        }))
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        let (caller, req) = admit(request)?;
        let reach = Reach::of(&self.app, &caller).await?;
        Ok(Response::new(create_user(&self.app, &reach, req).await?.into()))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let (caller, req) = admit(request)?;
        let reach = Reach::of(&self.app, &caller).await?;
        Ok(Response::new(
            user_within(&self.app, &reach, id("id", &req.id)?).await?.into(),
        ))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<User>, Status> {
        let (caller, req) = admit(request)?;
        let UpdateUserRequest {
            id: user_id,
            full_name,
            role,
            is_active,
            department,
            student_id,
            email,
        } = req;
        let changes = Changes {
            full_name,
            role,
            is_active,
            department,
            student_id,
            email,
            ..Changes::default()
        };
        let user = id("id", &user_id)?;
        let reach = Reach::of(&self.app, &caller).await?;
        Ok(Response::new(
            update_user(&self.app, &reach, user, changes).await?.into(),
        ))
    }

    async fn list_roles(
        &self,
        request: Request<ListRolesRequest>,
    ) -> Result<Response<ListRolesResponse>, Status> {
        let (_, req) = admit(request)?;
        let page = list_roles(&self.app, paging(req.page_size, req.page_token.as_deref())).await?;
        Ok(Response::new(ListRolesResponse {
            roles: page.items.into_iter().map(Role::from).collect(),
            available_permissions: permissions::ALL.iter().map(|p| (*p).to_owned()).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn put_role(&self, request: Request<PutRoleRequest>) -> Result<Response<Role>, Status> {
        let (caller, req) = admit(request)?;
        let role = StoredRole {
            name: req.name,
            permissions: req.permissions,
            require_totp: req.require_totp.unwrap_or_default(),
            department_scoped: req.department_scoped.unwrap_or_default(),
        };
        let reach = Reach::of(&self.app, &caller).await?;
        let (role, is_new) = put_role(&self.app, &reach, role).await?;
        let response = Response::new(role.into());
        if is_new {
            Ok(response)
        } else {
            Ok(with_http_status(response, 200))
        }
    }

    async fn batch_get_users(
        &self,
        request: Request<BatchGetUsersRequest>,
    ) -> Result<Response<BatchGetUsersResponse>, Status> {
        let (_, req) = admit(request)?;
        let ids = req
            .ids
            .iter()
            .map(|text| id("ids", text))
            .collect::<Result<Vec<_>, _>>()?;
        let users = users_by_id(&self.app, &ids)
            .await?
            .into_iter()
            .map(Into::into)
            .collect();
        Ok(Response::new(BatchGetUsersResponse { users }))
    }

    async fn find_users_by_email(
        &self,
        request: Request<FindUsersByEmailRequest>,
    ) -> Result<Response<FindUsersByEmailResponse>, Status> {
        let (_, req) = admit(request)?;
        let found = users_by_email(&self.app, req.emails).await?.into_iter();
        let users = found
            .map(|(asked, user)| FoundUser {
                asked,
                user: Some(user.into()),
            })
            .collect();
        Ok(Response::new(FindUsersByEmailResponse { users }))
    }
}
