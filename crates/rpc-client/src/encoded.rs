//! Messages as bytes. What sends them is compiled once and not for each RPC.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Response, Status};

pub fn encode(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

pub fn decode<M: Message + Default>(answer: Response<Bytes>) -> Result<Response<M>, Status> {
    let (metadata, bytes, extensions) = answer.into_parts();
    let message = M::decode(bytes).map_err(|fault| Status::internal(fault.to_string()))?;
    Ok(Response::from_parts(metadata, message, extensions))
}

/// Leaves messages as they are.
#[derive(Debug, Clone, Copy)]
pub struct EncodedCodec;

impl Codec for EncodedCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for EncodedCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for EncodedCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
