package mysqltest

import "path/filepath"

// serverOptions are the options of a private server. Small and fast, since nothing here must survive a power cut.
// Keep them in step with start_server in scripts/datadir.sh.
func serverOptions(kind Kind, dir, port string) []string {
	options := []string{
		"--datadir=" + filepath.Join(dir, "data"),
		"--tmpdir=" + filepath.Join(dir, "tmp"),
		"--socket=" + filepath.Join(dir, "s.sock"),
		"--pid-file=" + filepath.Join(dir, "server.pid"),
		"--log-error=" + filepath.Join(dir, "error.log"),
		"--bind-address=127.0.0.1", "--port=" + port,
		"--ssl-ca=" + filepath.Join(dir, "tls", "ca.pem"),
		"--ssl-cert=" + filepath.Join(dir, "tls", "server.pem"),
		"--ssl-key=" + filepath.Join(dir, "tls", "server.key"),
		"--local-infile=1", "--max-allowed-packet=48M", "--max-connections=60", "--skip-name-resolve", "--skip-log-bin",
		"--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2", "--performance-schema=OFF",
	}
	if kind == MySQL {
		return append(options, "--innodb-redo-log-capacity=256M", "--innodb-doublewrite=OFF", "--mysqlx=OFF", "--secure-file-priv=")
	}
	return append(options, "--innodb-log-file-size=256M")
}
