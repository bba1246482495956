-- shop.sql: what clients.sh dumps: types, a view, a routine, a trigger, an event, an empty table, and rows of all sizes.
CREATE DATABASE shop; USE shop;
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT, d DATETIME DEFAULT CURRENT_TIMESTAMP, b BLOB, n DECIMAL(10, 2), j JSON);
INSERT INTO orders (v, b, n, j) VALUES ('one', x'00ff27', 1.5, '{"a": 1}'), (NULL, NULL, NULL, NULL), ('', '', 0, '[]');
INSERT INTO orders (v) SELECT REPEAT('v', a.id * 100) FROM orders a, orders b, orders c, orders d;
INSERT INTO orders (v, n) SELECT 'w', a.id FROM orders a, orders b LIMIT 3000;
INSERT INTO orders (v) VALUES (REPEAT('large', 400000));
CREATE TABLE empty_one (id INT PRIMARY KEY);
CREATE VIEW paid AS SELECT id, v FROM orders WHERE n > 1;
CREATE TRIGGER before_order BEFORE INSERT ON orders FOR EACH ROW SET NEW.n = COALESCE(NEW.n, 0);
CREATE PROCEDURE totals() SELECT COUNT(*), SUM(n) FROM orders;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM empty_one;
FLUSH BINARY LOGS;
