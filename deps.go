package seqguard

import (
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/ngrok/sqlmw"
	_ "go.opentelemetry.io/otel"
	_ "go.opentelemetry.io/otel/log"
	_ "go.opentelemetry.io/otel/metric"
	_ "go.opentelemetry.io/otel/sdk/log"
	_ "go.opentelemetry.io/otel/sdk/metric"
	_ "go.opentelemetry.io/otel/sdk/trace"
	_ "go.opentelemetry.io/otel/semconv/v1.43.0"
	_ "go.opentelemetry.io/otel/trace"
	_ "golang.org/x/crypto/chacha20"
	_ "golang.org/x/sys/unix"
	_ "pgregory.net/rapid"
)
