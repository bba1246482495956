package trace

import "go.opentelemetry.io/otel/attribute"

// The keys of our own, in the order of docs/telemetry.md, which says what each
// holds and when it is there. None of them is the namespace of another, so that
// a backend that nests keys at their dots can keep them all.

// KeyAbout is one line for people, on the span and on each of its events. It is
// not below "seqguard." because Jaeger and others show keys in alphabetical order:
// in front of "code.", "db." and "event" it is what is read first.
const KeyAbout = attribute.Key("about.seqguard")

// The cause.
const (
	KeyCause         = attribute.Key("seqguard.cause")
	KeySeverity      = attribute.Key("seqguard.severity")
	KeyTitle         = attribute.Key("seqguard.title")
	KeyExplanation   = attribute.Key("seqguard.explanation")
	KeyAdvice        = attribute.Key("seqguard.advice")
	KeyDocumentation = attribute.Key("seqguard.documentation")
	KeyAlternatives  = attribute.Key("seqguard.alternatives")
	KeyExecuted      = attribute.Key("seqguard.executed")
	KeyRetrySafe     = attribute.Key("seqguard.retry_safe")
)

// The wire.
const (
	KeyViolation        = attribute.Key("seqguard.violation")
	KeyPhase            = attribute.Key("seqguard.phase")
	KeyDirection        = attribute.Key("seqguard.direction")
	KeyCommand          = attribute.Key("seqguard.command")
	KeySequenceExpected = attribute.Key("seqguard.sequence.expected")
	KeySequenceActual   = attribute.Key("seqguard.sequence.actual")
	KeySequenceDistance = attribute.Key("seqguard.sequence.distance")
	KeyPacketKind       = attribute.Key("seqguard.packet.kind")
	KeyPacketLength     = attribute.Key("seqguard.packet.length")
	KeyStreamEnd        = attribute.Key("seqguard.stream_end")
	KeyInsidePacket     = attribute.Key("seqguard.inside_packet")
	KeyPendingAnswers   = attribute.Key("seqguard.pending_answers")
	KeyAnswerStarted    = attribute.Key("seqguard.answer_started")
	KeyInTransaction    = attribute.Key("seqguard.in_transaction")
	KeyBeforeCommand    = attribute.Key("seqguard.before_command")
	KeyNothingWritten   = attribute.Key("seqguard.nothing_written")
	KeyUnsentBytes      = attribute.Key("seqguard.unsent_bytes")
)

// The connection.
const (
	KeyConnectionID       = attribute.Key("seqguard.connection.id")
	KeyConnectionUID      = attribute.Key("seqguard.connection.uid")
	KeyConnectionAge      = attribute.Key("seqguard.connection.age_ms")
	KeyConnectionIdle     = attribute.Key("seqguard.connection.idle_ms")
	KeyConnectionCommands = attribute.Key("seqguard.connection.commands")
	KeyServerVersion      = attribute.Key("seqguard.server.version")
	KeyServerErrorCode    = attribute.Key("seqguard.server_error.code")
	KeyServerErrorState   = attribute.Key("seqguard.server_error.sqlstate")
	KeyServerErrorMessage = attribute.Key("seqguard.server_error.message")
	KeyTLS                = attribute.Key("seqguard.tls")
	KeyTLSAlert           = attribute.Key("seqguard.tls_alert")
	KeyCompression        = attribute.Key("seqguard.compression")
	KeyCompressionError   = attribute.Key("seqguard.compression_error")
	KeyOpaqueReason       = attribute.Key("seqguard.opaque_reason")
	KeyAuthPlugin         = attribute.Key("seqguard.auth_plugin")
)

// Whose it is, if it is not this process's own: by what the client says in its login.
const (
	KeyClientProgram = attribute.Key("seqguard.client.program")
	KeyClientLibrary = attribute.Key("seqguard.client.library")
	KeyClientVersion = attribute.Key("seqguard.client.library_version")
	KeyVantage       = attribute.Key("seqguard.vantage")
)

// Who used it.
const (
	KeyOwnerOperation    = attribute.Key("seqguard.owner.operation")
	KeyOwnerCallSite     = attribute.Key("seqguard.owner.call_site")
	KeyOwnerAge          = attribute.Key("seqguard.owner.age_ms")
	KeyOwnerGoroutine    = attribute.Key("seqguard.owner.goroutine")
	KeyOwnerStack        = attribute.Key("seqguard.owner.stack")
	KeyIntruderOperation = attribute.Key("seqguard.intruder.operation")
	KeyIntruderCallSite  = attribute.Key("seqguard.intruder.call_site")
	KeyIntruderAge       = attribute.Key("seqguard.intruder.age_ms")
	KeyIntruderStack     = attribute.Key("seqguard.intruder.stack")
	KeyIntruderGoroutine = attribute.Key("seqguard.intruder.goroutine")
	KeyConflict          = attribute.Key("seqguard.conflict")
	KeyGoroutine         = attribute.Key("seqguard.goroutine")
)

// The clock, and what lies around this one report.
const (
	KeyTimingGreeting = attribute.Key("seqguard.timing.greeting_after_ms")
	KeyTimingLogin    = attribute.Key("seqguard.timing.login_after_ms")
	KeyTimingSince    = attribute.Key("seqguard.timing.since_login_ms")
	KeyTimingOwnPause = attribute.Key("seqguard.timing.own_pause_ms")
	KeyTimingDial     = attribute.Key("seqguard.timing.dial_ms")
	KeyTimingUnread   = attribute.Key("seqguard.timing.greeting_unread_ms")
	KeyTimingWrite    = attribute.Key("seqguard.timing.login_write_ms")
	KeyTimingCommand  = attribute.Key("seqguard.timing.since_command_ms")
	KeyTimingReadGap  = attribute.Key("seqguard.timing.longest_read_gap_ms")
	KeyTimingAnswer   = attribute.Key("seqguard.timing.answer_after_ms")

	KeyRelatedFailures  = attribute.Key("seqguard.related_failures")
	KeyDroppedReports   = attribute.Key("seqguard.dropped_reports")
	KeyLostReports      = attribute.Key("seqguard.lost_reports")
	KeyHistoryForgotten = attribute.Key("seqguard.history.forgotten")
)

// What the kernel says of the connection.
const (
	KeyTCPDelivery      = attribute.Key("seqguard.tcp.delivery")
	KeyTCPState         = attribute.Key("seqguard.tcp.state")
	KeyTCPWritten       = attribute.Key("seqguard.tcp.written_bytes")
	KeyTCPAcked         = attribute.Key("seqguard.tcp.acknowledged_bytes")
	KeyTCPNotSent       = attribute.Key("seqguard.tcp.not_sent_bytes")
	KeyTCPRetransmitted = attribute.Key("seqguard.tcp.retransmitted_segments")
	KeyTCPUnanswered    = attribute.Key("seqguard.tcp.unanswered_retransmissions")
	KeyTCPRTT           = attribute.Key("seqguard.tcp.rtt_ms")
	KeyTCPLeastRTT      = attribute.Key("seqguard.tcp.least_rtt_ms")
	KeyTCPSinceData     = attribute.Key("seqguard.tcp.since_data_ms")
	KeyTCPSinceAck      = attribute.Key("seqguard.tcp.since_ack_ms")
)

// What kernel and runtime say of this process.
const (
	KeyStallCause     = attribute.Key("seqguard.stall.cause")
	KeyStallWindow    = attribute.Key("seqguard.stall.window_ms")
	KeyStallThrottled = attribute.Key("seqguard.stall.throttled_ms")
	KeyStallPeriods   = attribute.Key("seqguard.stall.throttled_periods")
	KeyStallLimit     = attribute.Key("seqguard.stall.cpu_limit")
	KeyStallWaited    = attribute.Key("seqguard.stall.cpu_wait_ms")
	KeyStallPressure  = attribute.Key("seqguard.stall.cpu_pressure_ms")
	KeyStallRan       = attribute.Key("seqguard.stall.cpu_time_ms")
	KeyStallGC        = attribute.Key("seqguard.stall.longest_gc_ms")
	KeyStallScheduler = attribute.Key("seqguard.stall.longest_scheduler_wait_ms")
	KeyStallLate      = attribute.Key("seqguard.stall.clock_late_ms")
	KeyStallRecording = attribute.Key("seqguard.stall.flight_recording")
	KeyStallWhere     = attribute.Key("seqguard.stall.goroutine_in")
)

// What the server said when it was asked afterwards.
const (
	KeyServerAsked           = attribute.Key("seqguard.server.asked")
	KeyServerAskedAfter      = attribute.Key("seqguard.server.asked_after_ms")
	KeyServerUptime          = attribute.Key("seqguard.server.uptime_ms")
	KeyServerThread          = attribute.Key("seqguard.server.thread.found")
	KeyServerThreadCommand   = attribute.Key("seqguard.server.thread.command")
	KeyServerThreadState     = attribute.Key("seqguard.server.thread.state")
	KeyServerThreadTime      = attribute.Key("seqguard.server.thread.time_ms")
	KeyServerThreadStatement = attribute.Key("seqguard.server.thread.statement")
	KeyServerConnectTimeout  = attribute.Key("seqguard.server.connect_timeout_ms")
	KeyServerReadTimeout     = attribute.Key("seqguard.server.net_read_timeout_ms")
	KeyServerWriteTimeout    = attribute.Key("seqguard.server.net_write_timeout_ms")
	KeyServerWaitTimeout     = attribute.Key("seqguard.server.wait_timeout_ms")
	KeyServerMaxPacket       = attribute.Key("seqguard.server.max_allowed_packet")
	KeyServerAbortedClients  = attribute.Key("seqguard.server.aborted_clients")
	KeyServerAbortedConnects = attribute.Key("seqguard.server.aborted_connects")
	KeyServerReadOnly        = attribute.Key("seqguard.server.read_only")
	KeyServerOffline         = attribute.Key("seqguard.server.offline_mode")
)

// Who keeps connections from others.
const (
	KeyHeld       = attribute.Key("seqguard.held.longest_ms")
	KeyHeldAs     = attribute.Key("seqguard.held.by")
	KeyPoolWaits  = attribute.Key("seqguard.pool.waits")
	KeyPoolWaited = attribute.Key("seqguard.pool.waited_ms")
	KeyPoolInUse  = attribute.Key("seqguard.pool.in_use")
	KeyPoolLimit  = attribute.Key("seqguard.pool.limit")
)

// Of the span's events, of its links, and of the log records.
const (
	KeyPacketLabel    = attribute.Key("seqguard.packet.label")
	KeyPacketCount    = attribute.Key("seqguard.packet.count")
	KeySequenceFirst  = attribute.Key("seqguard.sequence.first")
	KeySequenceLast   = attribute.Key("seqguard.sequence.last")
	KeyLinkRole       = attribute.Key("seqguard.link.role")
	KeyHistoryPackets = attribute.Key("seqguard.history.packets")
)
