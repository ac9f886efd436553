//! Messages as bytes. What sends them is compiled once and not for each RPC.

use bytes::Bytes;
use prost::Message;
use tonic::{Response, Status};

pub fn encode(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

pub fn decode<M: Message + Default>(answer: Response<Bytes>) -> Result<Response<M>, Status> {
    let (metadata, bytes, extensions) = answer.into_parts();
    let message = M::decode(bytes).map_err(|fault| Status::internal(fault.to_string()))?;
    Ok(Response::from_parts(metadata, message, extensions))
}
