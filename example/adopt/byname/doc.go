// Package byname holds what takes no other name than "mysql", with the import
// that gives the name to the guarded driver.
package byname

import _ "github.com/seqguard/mysql-seqguard/asmysql"
