// Package capture reads capture files and finds the TCP segments in them.
//
// It reads pcap and pcapng by itself. github.com/gopacket/gopacket v1.7.7 would
// be the library for it, but its pcapgo keeps the secrets of a decryption secrets
// block in a field that nobody can read, and it copies every frame.
//
// Nothing here trusts a length, and nothing allocates for a frame.
package capture
