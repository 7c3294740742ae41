//! The errors of ClickHouse: their numbers (`src/Common/ErrorCodes.cpp` of its sources), and what their text tells.

/// The number of an error.
pub type Code = u32;

/// Whether the same rows may be taken at another time.
pub fn passes(code: Code) -> bool {
    matches!(
        code,
        159 // TIMEOUT_EXCEEDED
        | 75 // CANNOT_WRITE_TO_FILE_DESCRIPTOR, as to a full disk
        | 95 // CANNOT_READ_FROM_SOCKET
        | 96 // CANNOT_WRITE_TO_SOCKET
        | 173 // CANNOT_ALLOCATE_MEMORY
        | 198 // DNS_ERROR
        | 201 // QUOTA_EXPIRED
        | 202 // TOO_MANY_SIMULTANEOUS_QUERIES
        | 203 // NO_FREE_CONNECTION
        | 209 // SOCKET_TIMEOUT
        | 210 // NETWORK_ERROR
        | 216 // QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING
        | 225 // NO_ZOOKEEPER
        | 236 // ABORTED
        | 241 // MEMORY_LIMIT_EXCEEDED
        | 242 // TABLE_IS_READ_ONLY, as while its replica has no Keeper
        | 243 // NOT_ENOUGH_SPACE
        | 244 // UNEXPECTED_ZOOKEEPER_ERROR
        | 252 // TOO_MANY_PARTS
        | 254 // NO_ACTIVE_REPLICAS
        | 279 // ALL_CONNECTION_TRIES_FAILED
        | 285 // TOO_FEW_LIVE_REPLICAS
        | 286 // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        | 319 // UNKNOWN_STATUS_OF_INSERT
        | 364 // RECEIVED_ERROR_TOO_MANY_REQUESTS
        | 373 // SESSION_IS_LOCKED
        | 394 // QUERY_WAS_CANCELLED
        | 425 // SYSTEM_ERROR
        | 439 // CANNOT_SCHEDULE_TASK
        | 473 // DEADLOCK_AVOIDED
        | 499 // S3_ERROR
        | 519 // NO_REMOTE_SHARD_AVAILABLE
        | 745 // SERVER_OVERLOADED
        | 999 // KEEPER_EXCEPTION
        | 1000 // POCO_EXCEPTION, as of a connection
        | 1001 // STD_EXCEPTION, as of a full disk
        | 1002 // UNKNOWN_EXCEPTION
    )
}

/// The number of the error in a response, if there is one: by the header, or, of servers before 20.1, by the body.
pub fn code(headers: &[(String, String)], text: &str) -> Option<Code> {
    let header = headers
        .iter()
        .find(|(name, _)| name == "x-clickhouse-exception-code");
    if let Some((_, value)) = header {
        // An error that cannot be read is one all the same.
        return Some(value.parse().unwrap_or(0));
    }
    let (_, rest) = text.split_once("Code: ")?;
    let (number, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
    // `DB::NetException` and others are errors, too.
    let is_error = rest.contains("DB::") && rest.contains("Exception");
    number.parse().ok().filter(|_| is_error)
}

/// The place of the row that an error names, from 0. Text of the row itself may stand before it; behind it only where a
/// constraint is broken (469), which then says which.
pub fn row(text: &str) -> Option<usize> {
    let (text, _) = text.split_once(". Expression: ").unwrap_or((text, ""));
    let (_, rest) = text.rsplit_once("at row ")?;
    let number = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    number.parse::<usize>().ok()?.checked_sub(1)
}

/// What an error says, without what stands before it in every one.
pub fn message(text: &str) -> &str {
    let message = text
        .split_once("DB::Exception: ")
        .map_or(text, |(_, message)| message);
    message.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_error_is_found() {
        let header =
            |value: &str| vec![("x-clickhouse-exception-code".to_owned(), value.to_owned())];
        let old = "Code: 241, e.displayText() = DB::Exception: Memory limit (for query) exceeded";
        let new =
            "Code: 27. DB::Exception: Cannot parse input. (CANNOT_PARSE_INPUT_ASSERTION_FAILED)";

        assert_eq!(code(&header("252"), ""), Some(252));
        assert_eq!(code(&header("?"), ""), Some(0));
        assert_eq!(code(&[], old), Some(241));
        assert_eq!(code(&[], new), Some(27));
        assert_eq!(code(&[], "Code: 210. DB::NetException: refused"), Some(210));
        assert_eq!(code(&[], ""), None);
        assert_eq!(code(&[], "Code: 1 of something else"), None);
    }

    #[test]
    fn the_row_of_an_error_is_the_last_that_it_names() {
        assert_eq!(row("before: at row 7: (at row 2)\n"), Some(1));
        let broken = "Constraint `c` is violated at row 3. Expression: (s != 'x'). Column values: s = 'at row 1'";
        assert_eq!(row(broken), Some(2));
        assert_eq!(row("no such column"), None);
        assert_eq!(row("at row 0"), None);
    }
}
