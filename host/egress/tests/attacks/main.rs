//! Attacks on the door, as a table: each test is named by the case it tries. The listed cases are A01 to F12; higher
//! numbers were found beyond the list. What only a component can try is in the tests over the whole.

#[cfg(test)]
mod a_authority;
#[cfg(test)]
mod b_addresses;
#[cfg(test)]
mod b_machine;
#[cfg(test)]
mod c_dns;
#[cfg(test)]
mod d_answers;
#[cfg(test)]
mod d_credentials;
#[cfg(test)]
mod d_floods;
#[cfg(test)]
mod d_protocol;
#[cfg(test)]
mod d_requests;
#[cfg(test)]
mod d_tls;
#[cfg(test)]
mod e_paths;
#[cfg(test)]
mod f_isolation;
#[cfg(test)]
mod ground;
#[cfg(test)]
#[path = "../common/provider.rs"]
mod provider;
#[cfg(test)]
#[path = "../common/upstream.rs"]
mod upstream;
#[cfg(test)]
#[path = "../common/world.rs"]
mod world;
