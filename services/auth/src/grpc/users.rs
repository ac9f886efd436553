use std::sync::Arc;

use access_token::permissions;
use contracts::Empty;
use contracts::auth::v1::user_service_server::UserService;
use contracts::auth::v1::{
    BatchGetUsersRequest, BatchGetUsersResponse, ChangePasswordRequest, CreateUserRequest,
    DeleteOtherSessionsRequest, DeleteSessionRequest, FindUsersByEmailRequest, FindUsersByEmailResponse,
    FoundUser, GetMeRequest, GetUserRequest, ListRolesRequest, ListRolesResponse, ListSessionsRequest,
    ListSessionsResponse, ListUsersRequest, ListUsersResponse, PutRoleRequest, ResendVerificationRequest,
    Role, UpdateMeRequest, UpdateUserRequest, User,
};
use service_runtime::grpc::admit;
use tonic::{Request, Response, Status};

use super::convert::{id, session};
use crate::app::Auth;
use crate::storage::roles::Role as StoredRole;
use crate::storage::users::Changes;
use crate::usecases::change_password::change_password;
use crate::usecases::create_user::create_user;
use crate::usecases::list_users::list_users;
use crate::usecases::put_role::{list_roles, put_role};
use crate::usecases::sessions::{end_other_sessions, end_session, list_sessions};
use crate::usecases::update_user::{update_me, update_user};
use crate::usecases::verify_email::resend_verification;
use crate::usecases::{user, users_by_email, users_by_id};

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

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let (caller, _) = admit(request)?;
        let current = caller.user()?.session_id;
        let sessions = list_sessions(&self.app, &caller).await?;
        let sessions = sessions
            .into_iter()
            .map(|stored| session(stored, current))
            .collect();
        Ok(Response::new(ListSessionsResponse {
            sessions,
            next_page_token: String::new(),
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

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let (_, req) = admit(request)?;
        let size = postgres::page_size(req.page_size);
        let (q, role, token) = (req.q.as_deref(), req.role.as_deref(), req.page_token.as_deref());
        let page = list_users(&self.app, q, role, size, token).await?;
        let users = page.users.into_iter().map(User::from).collect();
        Ok(Response::new(ListUsersResponse {
            users,
            next_page_token: page.next_page_token,
        }))
    }

    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(create_user(&self.app, req).await?.into()))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let (_, req) = admit(request)?;
        Ok(Response::new(user(&self.app, id("id", &req.id)?).await?.into()))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<User>, Status> {
        let (_, req) = admit(request)?;
        let UpdateUserRequest {
            id: user_id,
            full_name,
            role,
            is_active,
        } = req;
        let changes = Changes {
            full_name,
            role,
            is_active,
            ..Changes::default()
        };
        Ok(Response::new(
            update_user(&self.app, id("id", &user_id)?, changes).await?.into(),
        ))
    }

    async fn list_roles(
        &self,
        request: Request<ListRolesRequest>,
    ) -> Result<Response<ListRolesResponse>, Status> {
        admit(request)?;
        let roles = list_roles(&self.app).await?;
        Ok(Response::new(ListRolesResponse {
            roles: roles.into_iter().map(Role::from).collect(),
            available_permissions: permissions::ALL.iter().map(|p| (*p).to_owned()).collect(),
        }))
    }

    async fn put_role(&self, request: Request<PutRoleRequest>) -> Result<Response<Role>, Status> {
        let (_, req) = admit(request)?;
        let role = StoredRole {
            name: req.name,
            permissions: req.permissions,
        };
        Ok(Response::new(put_role(&self.app, role).await?.into()))
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
