use std::sync::Arc;

use contracts::auth::v1::operation_service_server::OperationService;
use contracts::auth::v1::{GetOperationRequest, GetOperationResultRequest, Operation};
use contracts::files::v1::File;
use service_runtime::grpc::admit;
use tonic::{Request, Response, Status};

use super::convert::id;
use crate::app::Auth;
use crate::usecases::operations;

pub struct OperationGrpc {
    app: Arc<Auth>,
}

impl OperationGrpc {
    pub fn new(app: Arc<Auth>) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl OperationService for OperationGrpc {
    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        let (caller, req) = admit(request)?;
        let operation = operations::find(&self.app, &caller, id("id", &req.id)?).await?;
        Ok(Response::new(operation))
    }

    async fn get_operation_result(
        &self,
        request: Request<GetOperationResultRequest>,
    ) -> Result<Response<File>, Status> {
        let (caller, req) = admit(request)?;
        let part = req.part.unwrap_or_default();
        let file = operations::find_result(&self.app, &caller, id("id", &req.id)?, part).await?;
        Ok(Response::new(file))
    }
}
