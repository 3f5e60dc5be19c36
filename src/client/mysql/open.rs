//! From an address to a connection that is logged in, over any executor's stream.

use hyper::rt::{Read, Write};

use super::{Credentials, MysqlClient, MysqlOpening};
use crate::{
    client::{Address, Fault, FaultKind, TlsMode, Transport, connect, within_limit},
    runtime::{Io, Native},
};

/// A connection over the streams of an executor.
pub type Mysql<N> = MysqlClient<Transport<<N as Io>::Conn>>;

/// Options of a url that are heeded, besides those of every protocol.
pub const OPTIONS: &[&str] = &["charset"];

/// Connects and logs in within the time limit. `database` is the one that names without a database
/// mean; none: the address's.
pub async fn open<N: Native>(address: &Address, database: Option<&str>) -> Result<Mysql<N>, Fault> {
    address.knows_options(OPTIONS).map_err(|why| Fault::new(FaultKind::Refused, why))?;
    let who = Credentials {
        user: &address.user,
        password: address.password.as_ref().map_or("", |password| password.reveal()),
        database: database.or(address.database.as_deref()),
    };
    let tls = address.tls().map_err(|why| Fault::new(FaultKind::Tls, why))?;
    let opening = async {
        let stream = connect::<N>(address).await?;
        log_in(stream, &who, &tls, address).await
    };
    within_limit::<N, _>(address, opening).await.map_err(|fault| fault.at(address))
}

/// Encrypts the stream if that is wanted, and logs in.
async fn log_in<C: Read + Write + Unpin>(
    stream: Transport<C>,
    who: &Credentials<'_>,
    tls: &TlsMode,
    address: &Address,
) -> Result<MysqlClient<Transport<C>>, Fault> {
    let mut opening = MysqlOpening::read(stream).await?;
    if *tls != TlsMode::Off {
        let (stream, before) = opening.ask_for_tls(who).await?;
        opening = before.resume(stream.encrypted(tls, address).await?);
    }
    Ok(opening.log_in(who).await?)
}
