import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** OpenSearch as one node on loopback: {@code OneNode FOLDER PORT QUEUE}. */
final class OneNode extends Node {
    private OneNode(Settings settings) {
        super(
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "test"),
            List.of(Netty4Plugin.class),
            false
        );
    }

    public static void main(String[] arguments) throws Exception {
        Settings settings = Settings.builder()
            .put("path.home", arguments[0])
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("transport.port", "0")
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            .put("discovery.type", "single-node")
            // One write at a time, and so many that wait: others are refused.
            .put("thread_pool.write.size", 1)
            .put("thread_pool.write.queue_size", arguments[2])
            // A disk that is nearly full is no matter of the tests.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        new OneNode(settings).start();
        Thread.currentThread().join();
    }
}
