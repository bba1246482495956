module github.com/seqguard/mysql-seqguard/cmd/seqguard

go 1.26.0

require github.com/seqguard/mysql-seqguard v0.0.0

replace github.com/seqguard/mysql-seqguard => ../..
