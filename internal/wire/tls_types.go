package wire

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// TLSSide is the side that sent something.
type TLSSide uint8

const (
	TLSClient TLSSide = iota
	TLSServer
)

func (s TLSSide) String() string {
	switch s {
	case TLSClient:
		return "client"
	case TLSServer:
		return "server"
	}
	return fmt.Sprintf("TLSSide(%d)", uint8(s))
}

// TLSState says how much of a connection can be seen.
type TLSState uint8

const (
	TLSHandshake TLSState = iota // no traffic keys in both directions yet
	TLSVisible                   // plaintext goes to the sinks
	TLSOpaque                    // records are counted only; see TLSInfo.Reason
)

func (s TLSState) String() string {
	switch s {
	case TLSHandshake:
		return "handshake"
	case TLSVisible:
		return "visible"
	case TLSOpaque:
		return "opaque"
	}
	return fmt.Sprintf("TLSState(%d)", uint8(s))
}

// TLSInfo is what is known about a TLS connection. It holds no secret.
type TLSInfo struct {
	State   TLSState
	Version uint16 // tls.VersionTLS13…; 0 until the ServerHello
	Suite   uint16 // tls.TLS_AES_128_GCM_SHA256…; 0 until the ServerHello
	Reason  string // of TLSOpaque
}

// TLSAlert is an alert of either side. RFC 8446 section 6.
type TLSAlert struct {
	Level       uint8 // 1 warning, 2 fatal; of no importance in TLS 1.3
	Description uint8
}

// CloseNotify tells whether the alert is a polite end rather than an error.
func (a TLSAlert) CloseNotify() bool { return a.Description == 0 }

func (a TLSAlert) String() string {
	return strings.TrimPrefix(tls.AlertError(a.Description).Error(), "tls: ")
}

// TLSMessage is the type of a handshake message. RFC 8446 section 4.
type TLSMessage uint8

const (
	tlsMsgHelloRequest          TLSMessage = 0
	tlsMsgClientHello           TLSMessage = 1
	tlsMsgServerHello           TLSMessage = 2
	tlsMsgNewSessionTicket      TLSMessage = 4
	tlsMsgEncryptedExtensions   TLSMessage = 8
	tlsMsgCertificate           TLSMessage = 11
	tlsMsgCertificateRequest    TLSMessage = 13
	tlsMsgCertificateVerify     TLSMessage = 15
	tlsMsgFinished              TLSMessage = 20
	tlsMsgKeyUpdate             TLSMessage = 24
	tlsMsgCompressedCertificate TLSMessage = 25
)

func (m TLSMessage) String() string {
	switch m {
	case tlsMsgHelloRequest:
		return "hello_request"
	case tlsMsgClientHello:
		return "client_hello"
	case tlsMsgServerHello:
		return "server_hello"
	case tlsMsgNewSessionTicket:
		return "new_session_ticket"
	case tlsMsgEncryptedExtensions:
		return "encrypted_extensions"
	case tlsMsgCertificate:
		return "certificate"
	case tlsMsgCertificateRequest:
		return "certificate_request"
	case tlsMsgCertificateVerify:
		return "certificate_verify"
	case tlsMsgFinished:
		return "finished"
	case tlsMsgKeyUpdate:
		return "key_update"
	case tlsMsgCompressedCertificate:
		return "compressed_certificate"
	}
	return fmt.Sprintf("handshake message %d", uint8(m))
}

// tlsRecordType is the type of a record. RFC 8446 section 5.1.
type tlsRecordType uint8

const (
	tlsChangeCipherSpec tlsRecordType = 20
	tlsAlertRecord      tlsRecordType = 21
	tlsHandshakeRecord  tlsRecordType = 22
	tlsApplicationData  tlsRecordType = 23
)

func (r tlsRecordType) String() string {
	switch r {
	case tlsChangeCipherSpec:
		return "change_cipher_spec"
	case tlsAlertRecord:
		return "alert"
	case tlsHandshakeRecord:
		return "handshake"
	case tlsApplicationData:
		return "application_data"
	}
	return fmt.Sprintf("record type %d", uint8(r))
}

// TLSEvents is told about what is not plaintext of the stream. The calls come
// from within FeedClient, FeedServer and WriteKeyLog.
type TLSEvents interface {
	// Alert is called for an alert, in the clear or encrypted.
	Alert(from TLSSide, a TLSAlert)
	// PostHandshake is called for a handshake message after the handshake:
	// tickets, key updates, requests to renegotiate.
	PostHandshake(from TLSSide, m TLSMessage)
	// NotTLS is called when bytes where a record should begin are not one:
	// MySQL servers answer an SSLRequest that they cannot serve, or a handshake
	// that failed, with a plaintext ERR packet. The sink that is returned gets
	// all further bytes of that side, first (at most five bytes, valid during
	// the call) among them; nil if nobody wants them.
	NotTLS(from TLSSide, first []byte) Sink
	// Opaque is called once, when it turns out that the plaintext cannot be
	// seen, or not any longer. No sink is fed after it.
	Opaque(reason string)
}
