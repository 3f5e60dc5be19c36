//! Whether a server encrypts, for urls that leave it to the server: asked once, so that all
//! connections of a trial are alike.

use super::{
    Address, Fault, Scheme, TlsMode, connect, mysql::MysqlOpening, postgres::stream::ask_for_tls,
    within_limit,
};
use crate::runtime::Native;

/// The address as it is used for all connections: one that leaves encryption to the server says
/// what the server offers.
pub async fn settled<N: Native>(mut address: Address) -> Result<Address, Fault> {
    if address.tls() == Ok(TlsMode::Preferred) {
        let asked = within_limit::<N, _>(&address, offers::<N>(&address)).await;
        let is_offered = asked.map_err(|fault| fault.at(&address))?;
        address.settle(is_offered);
    }
    Ok(address)
}

async fn offers<N: Native>(address: &Address) -> Result<bool, Fault> {
    let stream = connect::<N>(address).await?;
    match address.scheme {
        Scheme::Postgres => ask_for_tls(stream).await.map(|(_, is_offered)| is_offered),
        Scheme::Mysql => Ok(MysqlOpening::read(stream).await?.offers_tls()),
        Scheme::Mongo => Ok(false),
    }
}
