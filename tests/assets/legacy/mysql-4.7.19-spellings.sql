CREATE TABLE `praison_sessions` (
  `session_id` varchar(255) NOT NULL,
  `user_id` varchar(255) DEFAULT NULL,
  `agent_id` varchar(255) DEFAULT NULL,
  `name` varchar(255) DEFAULT NULL,
  `state` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`state`)),
  `metadata` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`metadata`)),
  `created_at` double DEFAULT NULL,
  `updated_at` double DEFAULT NULL,
  PRIMARY KEY (`session_id`),
  KEY `idx_user` (`user_id`),
  KEY `idx_agent` (`agent_id`),
  KEY `idx_updated` (`updated_at` DESC)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `praison_sessions` VALUES ('alice','Alice',NULL,NULL,NULL,NULL,1767225600,1767225600);
INSERT INTO `praison_sessions` VALUES ('bob','alice',NULL,NULL,NULL,NULL,1767225600,1767225601);
CREATE TABLE `praison_messages` (
  `id` varchar(255) NOT NULL,
  `session_id` varchar(255) NOT NULL,
  `role` varchar(50) NOT NULL,
  `content` text DEFAULT NULL,
  `tool_calls` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`tool_calls`)),
  `tool_call_id` varchar(255) DEFAULT NULL,
  `metadata` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`metadata`)),
  `created_at` double DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `idx_session` (`session_id`),
  KEY `idx_created` (`session_id`,`created_at`),
  CONSTRAINT `praison_messages_ibfk_1` FOREIGN KEY (`session_id`) REFERENCES `praison_sessions` (`session_id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `praison_messages` VALUES ('spelling-0','alice','user','sent to \'alice\'',NULL,NULL,NULL,1767225600);
INSERT INTO `praison_messages` VALUES ('spelling-1','Alice','user','sent to \'Alice\'',NULL,NULL,NULL,1767225601);
INSERT INTO `praison_messages` VALUES ('spelling-2','ALICE','user','sent to \'ALICE\'',NULL,NULL,NULL,1767225602);
INSERT INTO `praison_messages` VALUES ('spelling-3','alice ','user','sent to \'alice \'',NULL,NULL,NULL,1767225603);
INSERT INTO `praison_messages` VALUES ('spelling-4','alicé','user','sent to \'alicé\'',NULL,NULL,NULL,1767225604);
