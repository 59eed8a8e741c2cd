CREATE TABLE public.praison_messages (
    id character varying(255) NOT NULL,
    session_id character varying(255) NOT NULL,
    role character varying(50) NOT NULL,
    content text,
    tool_calls jsonb,
    tool_call_id character varying(255),
    metadata jsonb,
    created_at double precision DEFAULT EXTRACT(epoch FROM now())
);
CREATE TABLE public.praison_sessions (
    session_id character varying(255) NOT NULL,
    user_id character varying(255),
    agent_id character varying(255),
    name character varying(255),
    state jsonb,
    metadata jsonb,
    created_at double precision,
    updated_at double precision
);
INSERT INTO public.praison_messages VALUES ('msg-00000000a001', '2026010109-3f2a91-b7c41d2e', 'user', 'Where is my order A-1?', NULL, NULL, NULL, 1767258000.125);
INSERT INTO public.praison_messages VALUES ('msg-00000000a002', '2026010109-3f2a91-b7c41d2e', 'assistant', '', '[{"id": "call_order_1", "type": "function", "function": {"name": "get_order", "arguments": "{\"sku\": \"A-1\", \"deep\": {\"é\": [1, null]}}"}}, {"id": "call_stock_1", "type": "function", "function": {"name": "get_stock", "arguments": "{}"}}]', NULL, NULL, 1767258001.5);
INSERT INTO public.praison_messages VALUES ('tool-00000000a004', '2026010109-3f2a91-b7c41d2e', 'tool', '{"status": "shipped", "eta": "2026-01-03"}', NULL, 'call_order_1', '{"tool_name": "get_order"}', 1767258002.75);
INSERT INTO public.praison_messages VALUES ('tool-00000000a003', '2026010109-3f2a91-b7c41d2e', 'tool', '3', NULL, 'call_stock_1', '{"tool_name": "get_stock"}', 1767258002.75);
INSERT INTO public.praison_messages VALUES ('msg-00000000a005', '2026010109-3f2a91-b7c41d2e', 'assistant', 'It is on its way.', NULL, NULL, NULL, 1767258004.0625);
INSERT INTO public.praison_messages VALUES ('msg-00000000a006', '2026010109-3f2a91-b7c41d2e', 'user', 'I want a refund.', NULL, NULL, NULL, 1767258060.1);
INSERT INTO public.praison_messages VALUES ('msg-00000000a007', '2026010109-3f2a91-b7c41d2e', 'assistant', 'Let me check.', '[{"id": "call_refund_1", "type": "function", "function": {"name": "refund", "arguments": "{\"amount\": 12.5}"}}]', NULL, '{"cost": 0.00042, "usage": {"input": 120, "output": 17}}', 1767258061.2);
INSERT INTO public.praison_messages VALUES ('tool-00000000a008', '2026010109-3f2a91-b7c41d2e', 'tool', 'Error: not allowed', NULL, 'call_refund_1', '{"error": true, "tool_name": "refund"}', 1767258062.3);
INSERT INTO public.praison_messages VALUES ('msg-00000000a009', '2026010109-3f2a91-b7c41d2e', 'assistant', 'A person has to approve it.', NULL, NULL, NULL, 1767258063.4);
INSERT INTO public.praison_messages VALUES ('msg-00000000a010', '2026010109-3f2a91-b7c41d2e', 'user', 'Then ask one.', NULL, NULL, NULL, 1767258120.123456);
INSERT INTO public.praison_messages VALUES ('msg-00000000a011', '2026010109-3f2a91-b7c41d2e', 'assistant', 'Done.', NULL, NULL, NULL, 1767258121.654321);
INSERT INTO public.praison_messages VALUES ('msg-00000000a012', '2026010109-3f2a91-b7c41d2e', 'system', 'The refund was approved.', NULL, NULL, NULL, 1767258300.0000002);
INSERT INTO public.praison_messages VALUES ('msg-00000000a013', '2026010109-3f2a91-b7c41d2e', 'user', 'Thanks!', NULL, NULL, NULL, 1767258301.3333333);
INSERT INTO public.praison_messages VALUES ('msg-00000000a014', '2026010109-3f2a91-b7c41d2e', 'assistant', 'You are welcome.', NULL, NULL, NULL, 1767258302.6666667);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000000', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'user', 'turn 0 at 0 s', NULL, NULL, NULL, 1767261600);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000001', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'assistant', 'turn 1 at 1 s', NULL, NULL, NULL, 1767261601);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000002', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'user', 'turn 2 at 2 s', NULL, NULL, NULL, 1767261602);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000003', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'assistant', 'turn 3 at 2 s', NULL, NULL, NULL, 1767261602);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000004', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'user', 'turn 4 at 2 s', NULL, NULL, NULL, 1767261602);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000005', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'assistant', 'turn 5 at 3 s', NULL, NULL, NULL, 1767261603);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000006', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'user', 'turn 6 at 4 s', NULL, NULL, NULL, 1767261604);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000007', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'assistant', 'turn 7 at 4 s', NULL, NULL, NULL, 1767261604);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000008', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'user', 'turn 8 at 5 s', NULL, NULL, NULL, 1767261605);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000009', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'assistant', 'turn 9 at 6 s', NULL, NULL, NULL, 1767261606);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000010', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'user', 'turn 10 at 7 s', NULL, NULL, NULL, 1767261607);
INSERT INTO public.praison_messages VALUES ('00000000-0000-4000-8000-000000000011', '7c9e6679-7425-40de-944b-e07fc1f90ae7', 'assistant', 'turn 11 at 0.5 s', NULL, NULL, NULL, 1767261600.5);
INSERT INTO public.praison_messages VALUES ('quoted-00', 'it''s 100% "quoted" \ back`tick', 'user', '', NULL, NULL, NULL, 1767268800);
INSERT INTO public.praison_messages VALUES ('quoted-01', 'it''s 100% "quoted" \ back`tick', 'assistant', ' leading and trailing space ', NULL, NULL, NULL, 1767268801);
INSERT INTO public.praison_messages VALUES ('quoted-02', 'it''s 100% "quoted" \ back`tick', 'user', 'it''s "quoted" `twice` ''''''''', NULL, NULL, '{"line": "a\nb", "path": "C:\\temp\\new", "quote": "it''s \"here\""}', 1767268802);
INSERT INTO public.praison_messages VALUES ('quoted-03', 'it''s 100% "quoted" \ back`tick', 'assistant', 'Robert''); DROP TABLE praison_messages;--', NULL, NULL, '{"a": {"b": {"c": [{"d": null}, [], {}, "", 0, false, -0.00000015]}}}', 1767268803);
INSERT INTO public.praison_messages VALUES ('quoted-04', 'it''s 100% "quoted" \ back`tick', 'user', 'back\slash \n \'' \" \\ \u00e9 \0', NULL, NULL, '{"é": "é", "emoji": "🎉", "ключ": "значение"}', 1767268804);
INSERT INTO public.praison_messages VALUES ('quoted-05', 'it''s 100% "quoted" \ back`tick', 'assistant', 'first line
second line
	tabbed

last', NULL, NULL, NULL, 1767268805);
INSERT INTO public.praison_messages VALUES ('quoted-06', 'it''s 100% "quoted" \ back`tick', 'user', '-- a comment?
/* or this */ # or that', NULL, NULL, NULL, 1767268806);
INSERT INTO public.praison_messages VALUES ('quoted-07', 'it''s 100% "quoted" \ back`tick', 'assistant', '100% %s %(name)s {brace} $1 :name ?', NULL, NULL, '{"line": "a\nb", "path": "C:\\temp\\new", "quote": "it''s \"here\""}', 1767268807);
INSERT INTO public.praison_messages VALUES ('quoted-08', 'it''s 100% "quoted" \ back`tick', 'user', 'façade, naïve, Zürich, œuvre, € 5', NULL, NULL, '{"a": {"b": {"c": [{"d": null}, [], {}, "", 0, false, -0.00000015]}}}', 1767268808);
INSERT INTO public.praison_messages VALUES ('quoted-09', 'it''s 100% "quoted" \ back`tick', 'assistant', '日本語, Ελληνικά, кириллица, العربية', NULL, NULL, '{"é": "é", "emoji": "🎉", "ключ": "значение"}', 1767268809);
INSERT INTO public.praison_messages VALUES ('quoted-10', 'it''s 100% "quoted" \ back`tick', 'user', '🎉 👩‍👩‍👧‍👦 🇨🇭 𒀀', NULL, NULL, NULL, 1767268810);
INSERT INTO public.praison_messages VALUES ('quoted-11', 'it''s 100% "quoted" \ back`tick', 'assistant', '{"looks": "like", "json": [1, 2, null]}', NULL, NULL, NULL, 1767268811);
INSERT INTO public.praison_messages VALUES ('quoted-12', 'it''s 100% "quoted" \ back`tick', 'user', 'null', NULL, NULL, '{"line": "a\nb", "path": "C:\\temp\\new", "quote": "it''s \"here\""}', 1767268812);
INSERT INTO public.praison_messages VALUES ('ünï-01', '会話-ünïcode-🎉', 'user', '東京の天気を教えて', NULL, NULL, '{"言語": "日本語"}', 1767272400);
INSERT INTO public.praison_messages VALUES ('ünï-02', '会話-ünïcode-🎉', 'assistant', '', '[{"id": "call_天気", "type": "function", "function": {"name": "天気", "arguments": "{\"都市\": \"東京 🗼\"}"}}]', NULL, NULL, 1767272401);
INSERT INTO public.praison_messages VALUES ('ünï-03', '会話-ünïcode-🎉', 'tool', '☀️ 21 °C', NULL, 'call_天気', NULL, 1767272402);
INSERT INTO public.praison_messages VALUES ('ünï-04', '会話-ünïcode-🎉', 'assistant', '晴れです。', NULL, NULL, NULL, 1767272403);
INSERT INTO public.praison_sessions VALUES ('2026010109-3f2a91-b7c41d2e', 'alice', 'support-bot', 'Refund request', '{"cart": [{"qty": 2, "sku": "A-1"}, {"qty": 1, "sku": "B-7"}], "step": "refund", "flags": {"vip": true, "none": [], "note": null, "empty": {}}, "budget": 12.5, "serial": 9007199254740993}', '{"tags": ["vip", "zurück"], "nested": {"a": {"b": [1, 2]}}, "channel": "web"}', 1767258000, 1767259800.25);
INSERT INTO public.praison_sessions VALUES ('7c9e6679-7425-40de-944b-e07fc1f90ae7', NULL, NULL, NULL, NULL, NULL, 1767261600, 1767263400.25);
INSERT INTO public.praison_sessions VALUES ('empty-session', 'bob', 'support-bot', NULL, NULL, NULL, 1767265200, 1767267000.25);
INSERT INTO public.praison_sessions VALUES ('it''s 100% "quoted" \ back`tick', 'o''brien', 'the "boss"', 'Robert''); DROP TABLE praison_messages;--', '{"path": "C:\\temp\\new", "quote": "it''s \"here\""}', '{"emoji": "🎉", "greek": "Ελληνικά", "percent": "100%s %(x)s"}', 1767268800, 1767270600.25);
INSERT INTO public.praison_sessions VALUES ('会話-ünïcode-🎉', 'ユーザー', 'агент', 'Ünïcödé 🎉', '{"鍵": "値"}', NULL, 1767272400, 1767274200.25);
ALTER TABLE ONLY public.praison_messages
    ADD CONSTRAINT praison_messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.praison_sessions
    ADD CONSTRAINT praison_sessions_pkey PRIMARY KEY (session_id);
CREATE INDEX idx_praison_messages_created ON public.praison_messages USING btree (session_id, created_at);
CREATE INDEX idx_praison_messages_session ON public.praison_messages USING btree (session_id);
CREATE INDEX idx_praison_sessions_agent ON public.praison_sessions USING btree (agent_id);
CREATE INDEX idx_praison_sessions_updated ON public.praison_sessions USING btree (updated_at DESC);
CREATE INDEX idx_praison_sessions_user ON public.praison_sessions USING btree (user_id);
ALTER TABLE ONLY public.praison_messages
    ADD CONSTRAINT praison_messages_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.praison_sessions(session_id) ON DELETE CASCADE;
