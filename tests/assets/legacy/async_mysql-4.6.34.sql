CREATE TABLE `praisonai_sessions` (
  `session_id` varchar(255) NOT NULL,
  `user_id` varchar(255) DEFAULT NULL,
  `agent_id` varchar(255) DEFAULT NULL,
  `name` varchar(255) DEFAULT NULL,
  `metadata` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`metadata`)),
  `created_at` double DEFAULT NULL,
  `updated_at` double DEFAULT NULL,
  PRIMARY KEY (`session_id`),
  KEY `idx_user_id` (`user_id`),
  KEY `idx_agent_id` (`agent_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `praisonai_sessions` VALUES ('2026010109-3f2a91-b7c41d2e','alice','support-bot','Refund request','{\"channel\": \"web\", \"tags\": [\"vip\", \"zur\\u00fcck\"], \"nested\": {\"a\": {\"b\": [1, 2]}}}',1767258000,1767259800.25);
INSERT INTO `praisonai_sessions` VALUES ('7c9e6679-7425-40de-944b-e07fc1f90ae7',NULL,NULL,NULL,NULL,1767261600,1767263400.25);
INSERT INTO `praisonai_sessions` VALUES ('empty-session','bob','support-bot',NULL,NULL,1767265200,1767267000.25);
INSERT INTO `praisonai_sessions` VALUES ('it\'s 100% \"quoted\" \\ back`tick','o\'brien','the \"boss\"','Robert\'); DROP TABLE praison_messages;--','{\"percent\": \"100%s %(x)s\", \"emoji\": \"\\ud83c\\udf89\", \"greek\": \"\\u0395\\u03bb\\u03bb\\u03b7\\u03bd\\u03b9\\u03ba\\u03ac\"}',1767268800,1767270600.25);
INSERT INTO `praisonai_sessions` VALUES ('会話-ünïcode-🎉','ユーザー','агент','Ünïcödé 🎉',NULL,1767272400,1767274200.25);
CREATE TABLE `praisonai_messages` (
  `id` varchar(255) NOT NULL,
  `session_id` varchar(255) DEFAULT NULL,
  `role` varchar(50) DEFAULT NULL,
  `content` text DEFAULT NULL,
  `metadata` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`metadata`)),
  `created_at` double DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `idx_session_id` (`session_id`),
  CONSTRAINT `praisonai_messages_ibfk_1` FOREIGN KEY (`session_id`) REFERENCES `praisonai_sessions` (`session_id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000000','7c9e6679-7425-40de-944b-e07fc1f90ae7','user','turn 0 at 0 s',NULL,1767261600);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000001','7c9e6679-7425-40de-944b-e07fc1f90ae7','assistant','turn 1 at 1 s',NULL,1767261601);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000002','7c9e6679-7425-40de-944b-e07fc1f90ae7','user','turn 2 at 2 s',NULL,1767261602);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000003','7c9e6679-7425-40de-944b-e07fc1f90ae7','assistant','turn 3 at 2 s',NULL,1767261602);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000004','7c9e6679-7425-40de-944b-e07fc1f90ae7','user','turn 4 at 2 s',NULL,1767261602);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000005','7c9e6679-7425-40de-944b-e07fc1f90ae7','assistant','turn 5 at 3 s',NULL,1767261603);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000006','7c9e6679-7425-40de-944b-e07fc1f90ae7','user','turn 6 at 4 s',NULL,1767261604);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000007','7c9e6679-7425-40de-944b-e07fc1f90ae7','assistant','turn 7 at 4 s',NULL,1767261604);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000008','7c9e6679-7425-40de-944b-e07fc1f90ae7','user','turn 8 at 5 s',NULL,1767261605);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000009','7c9e6679-7425-40de-944b-e07fc1f90ae7','assistant','turn 9 at 6 s',NULL,1767261606);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000010','7c9e6679-7425-40de-944b-e07fc1f90ae7','user','turn 10 at 7 s',NULL,1767261607);
INSERT INTO `praisonai_messages` VALUES ('00000000-0000-4000-8000-000000000011','7c9e6679-7425-40de-944b-e07fc1f90ae7','assistant','turn 11 at 0.5 s',NULL,1767261600.5);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a001','2026010109-3f2a91-b7c41d2e','user','Where is my order A-1?',NULL,1767258000.125);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a002','2026010109-3f2a91-b7c41d2e','assistant','',NULL,1767258001.5);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a005','2026010109-3f2a91-b7c41d2e','assistant','It is on its way.',NULL,1767258004.0625);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a006','2026010109-3f2a91-b7c41d2e','user','I want a refund.',NULL,1767258060.1);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a007','2026010109-3f2a91-b7c41d2e','assistant','Let me check.','{\"usage\": {\"input\": 120, \"output\": 17}, \"cost\": 0.00042}',1767258061.2);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a009','2026010109-3f2a91-b7c41d2e','assistant','A person has to approve it.',NULL,1767258063.4);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a010','2026010109-3f2a91-b7c41d2e','user','Then ask one.',NULL,1767258120.123456);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a011','2026010109-3f2a91-b7c41d2e','assistant','Done.',NULL,1767258121.654321);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a012','2026010109-3f2a91-b7c41d2e','system','The refund was approved.',NULL,1767258300.0000002);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a013','2026010109-3f2a91-b7c41d2e','user','Thanks!',NULL,1767258301.3333333);
INSERT INTO `praisonai_messages` VALUES ('msg-00000000a014','2026010109-3f2a91-b7c41d2e','assistant','You are welcome.',NULL,1767258302.6666667);
INSERT INTO `praisonai_messages` VALUES ('quoted-00','it\'s 100% \"quoted\" \\ back`tick','user','',NULL,1767268800);
INSERT INTO `praisonai_messages` VALUES ('quoted-01','it\'s 100% \"quoted\" \\ back`tick','assistant',' leading and trailing space ',NULL,1767268801);
INSERT INTO `praisonai_messages` VALUES ('quoted-02','it\'s 100% \"quoted\" \\ back`tick','user','it\'s \"quoted\" `twice` \'\'\'\'','{\"quote\": \"it\'s \\\"here\\\"\", \"path\": \"C:\\\\temp\\\\new\", \"line\": \"a\\nb\"}',1767268802);
INSERT INTO `praisonai_messages` VALUES ('quoted-03','it\'s 100% \"quoted\" \\ back`tick','assistant','Robert\'); DROP TABLE praison_messages;--','{\"a\": {\"b\": {\"c\": [{\"d\": null}, [], {}, \"\", 0, false, -1.5e-07]}}}',1767268803);
INSERT INTO `praisonai_messages` VALUES ('quoted-04','it\'s 100% \"quoted\" \\ back`tick','user','back\\slash \\n \\\' \\\" \\\\ \\u00e9 \\0','{\"\\u043a\\u043b\\u044e\\u0447\": \"\\u0437\\u043d\\u0430\\u0447\\u0435\\u043d\\u0438\\u0435\", \"emoji\": \"\\ud83c\\udf89\", \"\\u00e9\": \"\\u00e9\"}',1767268804);
INSERT INTO `praisonai_messages` VALUES ('quoted-05','it\'s 100% \"quoted\" \\ back`tick','assistant','first line\nsecond line\n	tabbed\n\nlast',NULL,1767268805);
INSERT INTO `praisonai_messages` VALUES ('quoted-06','it\'s 100% \"quoted\" \\ back`tick','user','-- a comment?\n/* or this */ # or that',NULL,1767268806);
INSERT INTO `praisonai_messages` VALUES ('quoted-07','it\'s 100% \"quoted\" \\ back`tick','assistant','100% %s %(name)s {brace} $1 :name ?','{\"quote\": \"it\'s \\\"here\\\"\", \"path\": \"C:\\\\temp\\\\new\", \"line\": \"a\\nb\"}',1767268807);
INSERT INTO `praisonai_messages` VALUES ('quoted-08','it\'s 100% \"quoted\" \\ back`tick','user','façade, naïve, Zürich, œuvre, € 5','{\"a\": {\"b\": {\"c\": [{\"d\": null}, [], {}, \"\", 0, false, -1.5e-07]}}}',1767268808);
INSERT INTO `praisonai_messages` VALUES ('quoted-09','it\'s 100% \"quoted\" \\ back`tick','assistant','日本語, Ελληνικά, кириллица, العربية','{\"\\u043a\\u043b\\u044e\\u0447\": \"\\u0437\\u043d\\u0430\\u0447\\u0435\\u043d\\u0438\\u0435\", \"emoji\": \"\\ud83c\\udf89\", \"\\u00e9\": \"\\u00e9\"}',1767268809);
INSERT INTO `praisonai_messages` VALUES ('quoted-10','it\'s 100% \"quoted\" \\ back`tick','user','🎉 👩‍👩‍👧‍👦 🇨🇭 𒀀',NULL,1767268810);
INSERT INTO `praisonai_messages` VALUES ('quoted-11','it\'s 100% \"quoted\" \\ back`tick','assistant','{\"looks\": \"like\", \"json\": [1, 2, null]}',NULL,1767268811);
INSERT INTO `praisonai_messages` VALUES ('quoted-12','it\'s 100% \"quoted\" \\ back`tick','user','null','{\"quote\": \"it\'s \\\"here\\\"\", \"path\": \"C:\\\\temp\\\\new\", \"line\": \"a\\nb\"}',1767268812);
INSERT INTO `praisonai_messages` VALUES ('tool-00000000a003','2026010109-3f2a91-b7c41d2e','tool','3','{\"tool_name\": \"get_stock\"}',1767258002.75);
INSERT INTO `praisonai_messages` VALUES ('tool-00000000a004','2026010109-3f2a91-b7c41d2e','tool','{\"status\": \"shipped\", \"eta\": \"2026-01-03\"}','{\"tool_name\": \"get_order\"}',1767258002.75);
INSERT INTO `praisonai_messages` VALUES ('tool-00000000a008','2026010109-3f2a91-b7c41d2e','tool','Error: not allowed','{\"tool_name\": \"refund\", \"error\": true}',1767258062.3);
INSERT INTO `praisonai_messages` VALUES ('ünï-01','会話-ünïcode-🎉','user','東京の天気を教えて','{\"\\u8a00\\u8a9e\": \"\\u65e5\\u672c\\u8a9e\"}',1767272400);
INSERT INTO `praisonai_messages` VALUES ('ünï-02','会話-ünïcode-🎉','assistant','',NULL,1767272401);
INSERT INTO `praisonai_messages` VALUES ('ünï-03','会話-ünïcode-🎉','tool','☀️ 21 °C',NULL,1767272402);
INSERT INTO `praisonai_messages` VALUES ('ünï-04','会話-ünïcode-🎉','assistant','晴れです。',NULL,1767272403);
